"""The bytes that are written are those of the safetensors library."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from umbel.checkpoint import safetensors as blocks
from umbel.checkpoint.safetensors import _KINDS, safetensors_blocks


def written(named: dict[str, torch.Tensor]) -> bytes:
    return b"".join(bytes(block) for block in safetensors_blocks(named))


def test_every_kind_of_number_in_the_library_s_order() -> None:
    named = {f"{number:02d}": torch.arange(3).to(kind) for number, kind in enumerate(reversed(_KINDS))}
    assert written(named) == save(named)


@settings(max_examples=60, deadline=None)
@given(
    named=st.dictionaries(
        st.text(st.characters(blacklist_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(st.lists(st.integers(0, 5), max_size=4), st.sampled_from([*_KINDS])),
        max_size=12,
    ),
    block=st.sampled_from([7, 64, 1 << 24]),
    small=st.sampled_from([0, 16, 1 << 20]),
)
def test_any_names_shapes_and_sizes_of_blocks(
    named: dict[str, tuple[list[int], torch.dtype]], block: int, small: int
) -> None:
    tensors = {
        name: torch.arange(torch.Size(shape).numel()).reshape(shape).to(kind) for name, (shape, kind) in named.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK", block)
        patch.setattr(blocks, "_SMALL", small)
        assert written(tensors) == save(tensors)


def test_strided_tied_and_required_tensors() -> None:
    whole = torch.nn.Parameter(torch.arange(24.0).reshape(1, 2, 3, 4))
    named = {"a": whole, "b": whole, "c": whole[:, 1], "d": whole.to(memory_format=torch.channels_last), "e": whole.mT}
    dense = {name: value.detach().contiguous().clone() for name, value in named.items()}
    assert written(named) == save(dense)


def test_large_dense_tensors_are_not_copied() -> None:
    value = torch.zeros(1 << 19)
    blocks_of_it = list(safetensors_blocks({"a": value}))
    value[0] = 1.0
    assert bytes(blocks_of_it[1][:4]) != bytes(4)


def test_number_that_the_format_lacks_is_named() -> None:
    with pytest.raises(TypeError, match=r"layer\.w is torch\.complex128"):
        list(safetensors_blocks({"layer.w": torch.zeros(2, dtype=torch.complex128)}))
