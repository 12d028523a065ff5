"""Writing a checkpoint in a thread while training goes on.

Training waits while weights and buffers are copied. What only the optimizer's step changes is copied while the next
step computes its gradients; all of it is checked and written after that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from umbel.checkpoint.save_job import Job, Outcome
from umbel.checkpoint.snapshot import Snapshot

_AT_ONCE = "model"  # a task's own code may write to weights and buffers before the next step is applied

_PATIENCE = 5.0  # seconds


class Background:
    """A job that a thread does.

    Args:
        job: what is written; its tensors may be those of the training.
        before_update: takes what the next step calls before it changes the tensors; whether they are those of the
            training, and not copies.
        snapshot: the memory of the copies, which no other job is using.
    """

    def __init__(self, job: Job, before_update: Callable[[Callable[[], object]], bool], snapshot: Snapshot) -> None:
        self._job, self._snapshot = job, snapshot
        self._outcome: Future[Outcome] = Future()
        self._copied, self._checked = threading.Event(), threading.Event()
        self._later = set[str]()
        if before_update(self._copied.wait):
            self._later = job.tensors.keys() - {_AT_ONCE}
            job.tensors[_AT_ONCE] = snapshot.copy(_AT_ONCE, job.tensors[_AT_ONCE])
        # a daemon: a second signal ends the process at once, and what is being written is whole or absent
        threading.Thread(target=self._work, name="checkpoint", daemon=True).start()

    def result(self) -> Outcome:
        """Waits until it is done."""
        return self._outcome.result()

    def is_done(self) -> bool:
        """Whether it has come to its end, good or bad."""
        return self._outcome.done()

    def abandon(self) -> None:
        """Waits while torch computes in the thread, no longer than seconds: the interpreter may end after that."""
        self._checked.wait(_PATIENCE)

    def _work(self) -> None:
        try:
            for stem in self._later:
                self._job.tensors[stem] = self._snapshot.copy(stem, self._job.tensors[stem])
            self._copied.set()
            self._outcome.set_result(self._job.write(self._checked.set))
        except BaseException as error:
            self._outcome.set_exception(error)
        finally:
            self._copied.set()
            self._checked.set()
            del self._job  # and with it what was copied for this save alone
