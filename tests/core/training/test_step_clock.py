"""The clock charges every second once, to the part it went to."""

from __future__ import annotations

from umbel.training.step_clock import StepClock


def test_charges_cover_what_has_passed_and_leave_the_first_step_out() -> None:
    times = iter([0.0, 0.0, 5.0, 9.0, 20.0, 21.0, 23.0, 26.0, 90.0, 91.0])
    clock = StepClock(lambda: next(times))
    clock.start()
    clock.charge("data")
    clock.charge("forward", "a")
    clock.step_done()
    assert clock.seconds == {}
    clock.start()  # what happens between steps belongs to none
    clock.charge("data")
    clock.charge("forward", "a")
    clock.charge("backward", "a")
    clock.step_done()
    clock.start()
    clock.charge("data")
    assert clock.seconds == {("data", ""): 2.0, ("forward", "a"): 2.0, ("backward", "a"): 3.0}
    assert clock.steps == 1
