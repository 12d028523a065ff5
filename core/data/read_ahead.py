"""Reading beside the model: a thread reads what comes next while the last is computed with."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def never(value: object) -> bool:
    return False


def read_ahead(
    read: Callable[[K], V], keys: Iterable[K], ahead: int, is_large: Callable[[V], bool] = never
) -> Generator[V, None, None]:
    """What `read` gives for each key, in order. What it raises is raised where its value would have come.

    There is one thread, so that a data set is read by no two at a time, as by a loading process. Decoders let go of
    Python's lock, so that it runs beside a model on a CPU too. Close the generator to end it.

    Args:
        read: gives the value of a key.
        keys: of what is to be read; taken in the thread that asks for values, up to `ahead` before their turn.
        ahead: values held beside the one that was given last; 0 reads each when it is asked for, without a thread.
        is_large: of a value, while the next one must not take memory beside it.
    """
    if ahead == 0:
        yield from map(read, keys)
        return
    remaining = iter(keys)
    under_way: deque[Future[V]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="umbel-reads") as thread:

        def start(count: int) -> None:
            for key in islice(remaining, max(0, count - len(under_way))):
                under_way.append(thread.submit(contextvars.copy_context().run, read, key))

        try:
            start(1)
            while under_way:
                value = under_way.popleft().result()
                start(0 if is_large(value) else ahead)
                yield value
                del value  # it must not be held while the next is waited for
                start(1)
        finally:
            for future in under_way:
                future.cancel()
