"""Faces of signs lie in their square, and no two are alike."""

from __future__ import annotations

import pytest

from umbel.recipes.streets.labels import SIGN_KINDS
from umbel.recipes.streets.scene.sign_faces import VARIANTS, face, outline


@pytest.mark.parametrize("kind", SIGN_KINDS)
def test_sign_faces_differ(kind: str) -> None:
    assert outline(kind).min() >= 0
    assert outline(kind).max() <= 1
    pictures = [face(kind, variant, 0) for variant in VARIANTS[kind]]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    assert face(kind, VARIANTS[kind][0], 2).shape == (32, 32, 4)
