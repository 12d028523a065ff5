"""Checksums computed beside the writing are those of the bytes, whatever the order in which they are asked for."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel.checkpoint.checksums import Checksums


@settings(max_examples=50, deadline=None)
@given(streams=st.lists(st.lists(st.binary(max_size=5000), max_size=6), max_size=5), data=st.data())
def test_every_stream_has_its_own_sha256(streams: list[list[bytes]], data: st.DataObject) -> None:
    checksums = Checksums({str(number): blocks.__iter__ for number, blocks in enumerate(streams)})
    for number in data.draw(st.permutations(range(len(streams)))):
        assert checksums.of(str(number)) == hashlib.sha256(b"".join(streams[number])).hexdigest()


def test_what_a_stream_raises_is_raised_where_it_is_asked_for() -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise TypeError("no such kind of number")

    checksums = Checksums({"broken": broken, "sound": [b"x"].__iter__})
    with pytest.raises(TypeError, match="no such kind"):
        checksums.of("broken")
    assert checksums.of("sound") == hashlib.sha256(b"x").hexdigest()


def test_threads_end_at_the_next_block_when_nobody_asks_any_more() -> None:
    going_on, taken = threading.Event(), []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x"
            going_on.wait()

    checksums = Checksums({"endless": endless})
    checksums.stop()
    going_on.set()
    for thread in threading.enumerate():
        if thread.name == "checksum":
            thread.join(10)
            assert not thread.is_alive()
    assert len(taken) <= 2
