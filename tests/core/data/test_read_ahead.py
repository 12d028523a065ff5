"""Reading ahead: the values and errors of a plain map in its order, from one thread, bounded, and ended at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import pytest

from umbel.data.read_ahead import read_ahead


@pytest.mark.parametrize("depth", [0, 1, 3, 50])
def test_values_are_those_of_a_map(depth: int) -> None:
    assert list(read_ahead(lambda key: key * key, range(20), depth)) == [key * key for key in range(20)]
    assert list(read_ahead(str, [], depth)) == []


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_an_error_comes_where_its_value_would(depth: int) -> None:
    def read(key: int) -> int:
        if key == 3:
            raise ValueError("torn")
        return key

    values = read_ahead(read, range(9), depth)
    assert [next(values) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="torn"):
        next(values)
    assert threads() == []


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("umbel-reads")]


class Notes:
    """Reads keys, and says which, in which thread, and how many at a time."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.threads: set[str] = set()
        self.at_a_time = self.most = 0

    def __call__(self, key: int) -> int:
        self.at_a_time += 1
        self.most = max(self.most, self.at_a_time)
        time.sleep(0.002)
        self.read.append(key)
        self.threads.add(threading.current_thread().name)
        self.at_a_time -= 1
        return key


def settled(condition: Callable[[], bool]) -> bool:
    """Whether it comes true, and is still a little later."""
    until = time.monotonic() + 10
    while not condition() and time.monotonic() < until:
        time.sleep(0.002)
    time.sleep(0.03)
    return condition()


def test_one_thread_reads_as_many_ahead_as_it_may() -> None:
    notes = Notes()
    values = read_ahead(notes, range(20), 3)
    assert next(values) == 0
    assert settled(lambda: notes.read == [0, 1, 2, 3])
    assert next(values) == 1
    assert settled(lambda: notes.read == [0, 1, 2, 3, 4])
    assert (notes.most, len(notes.threads)) == (1, 1)
    values.close()
    assert threads() == []
    assert notes.read == [0, 1, 2, 3, 4]


def test_beside_a_large_value_nothing_is_read() -> None:
    notes = Notes()
    values = read_ahead(notes, range(9), 3, lambda value: value in (0, 4))
    assert next(values) == 0
    assert settled(lambda: notes.read == [0])
    assert next(values) == 1
    assert settled(lambda: notes.read == [0, 1, 2, 3, 4])
    assert list(values) == list(range(2, 9))


def test_keys_are_taken_by_the_thread_that_asks() -> None:
    takers: set[str] = set()

    def keys() -> Iterator[int]:
        for key in range(5):
            takers.add(threading.current_thread().name)
            yield key

    assert list(read_ahead(abs, keys(), 2)) == list(range(5))
    assert takers == {threading.current_thread().name}


def test_what_is_noted_in_the_context_is_seen_by_the_thread() -> None:
    mode: ContextVar[str] = ContextVar("mode", default="none")
    token = mode.set("strict")
    try:
        assert list(read_ahead(lambda key: mode.get(), range(2), 1)) == ["strict", "strict"]
    finally:
        mode.reset(token)
