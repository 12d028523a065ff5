"""Tables about data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from umbel import class_balance, evenly_spaced, image_sizes


@given(st.integers(0, 300), st.integers(1, 300))
def test_spread_gives_distinct_indices_over_the_whole_length(length: int, count: int) -> None:
    indices = evenly_spaced(length, count)
    assert len(indices) == min(length, count)
    assert indices == sorted(set(indices))
    if indices:
        assert indices[0] == 0
        assert indices[-1] >= length - 1 - length / len(indices)


def test_class_balance_names_absent_and_rare_classes() -> None:
    table = class_balance("classes", ["a", "b", "c", "d"], [900, 95, 5, 0], "boxes")
    assert table.columns == ("class", "boxes", "share")
    assert table.rows[1] == ("b", 95, 0.095)
    assert table.findings[0] == "no boxes of d"
    assert "c (0.50%)" in table.findings[1]
    assert "b (" not in table.findings[1]
    assert class_balance("classes", ["a", "b"], [10, 12], "boxes").findings == ()
    assert class_balance("classes", ["a"], [0], "boxes").rows == (("a", 0, 0.0),)


def test_image_sizes_says_where_the_input_size_stretches() -> None:
    table = image_sizes([(100, 200), (120, 200), (90, 180)], (64, 64))
    assert table.rows[0] == ("height", 90, 100, 120, 64, 0.64)
    assert table.rows[1][:5] == ("width", 180, 200, 200, 64)
    assert "2.00 along one side" in table.findings[0]
    assert image_sizes([(100, 200)], (50, 100)).findings == ()
