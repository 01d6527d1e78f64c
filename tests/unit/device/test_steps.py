from __future__ import annotations

import os
import signal

import pytest

from thirdvote.device.steps import Interrupted, Interruption, Step, interruptible, perform
from thirdvote.errors import UserError


class Work:
    """What was done and undone, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def step(self, name: str, fails: Exception | None = None, undo_fails: Exception | None = None, undo: bool = True) -> Step:
        def do() -> None:
            self.log.append(name)
            if fails is not None:
                raise fails

        def back() -> None:
            self.log.append(f"not {name}")
            if undo_fails is not None:
                raise undo_fails

        return Step(f"does {name}", do, back if undo else None, f"{name} as before")


def test_all_in_order() -> None:
    work, said = Work(), list[str]()
    perform([work.step("a"), work.step("b", undo=False), work.step("c")], said.append, Interruption())
    assert work.log == ["a", "b", "c"]
    assert said == ["does a", "does b", "does c"]


def test_a_failure_undoes_in_reverse_the_failed_step_too() -> None:
    work, said = Work(), list[str]()
    steps = [work.step("a"), work.step("b", undo=False), work.step("c", UserError("it broke")), work.step("d")]
    with pytest.raises(UserError, match="it broke"):
        perform(steps, said.append, Interruption())
    assert work.log == ["a", "b", "c", "not c", "not a"]
    assert said[3:] == ["it broke: undoing what was done", "undo: c as before", "undo: a as before"]


@pytest.mark.parametrize("problem", [UserError("stuck", "pull"), RuntimeError("stuck")])
def test_an_undo_that_fails_is_said_and_the_others_go_on(problem: Exception) -> None:
    work, said = Work(), list[str]()
    with pytest.raises(UserError, match="it broke"):
        perform([work.step("a"), work.step("b", UserError("it broke"), undo_fails=problem)], said.append, Interruption())
    assert work.log[-1] == "not a"
    (line,) = [line for line in said if "by hand" in line]
    assert "stuck" in line


def test_a_fault_of_the_program_is_undone_too() -> None:
    work = Work()
    with pytest.raises(ZeroDivisionError):
        perform([work.step("a", ZeroDivisionError())], lambda text: None, Interruption())
    assert work.log == ["a", "not a"]


def test_the_way_back_goes_on_without_a_terminal() -> None:
    work = Work()

    def say(text: str) -> None:
        raise OSError("gone")

    with pytest.raises(UserError):
        perform([work.step("a"), work.step("b", UserError("it broke"))], say, Interruption())
    assert work.log == ["a", "b", "not b", "not a"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_seen_between_two_steps(number: signal.Signals) -> None:
    work = Work()
    before = signal.getsignal(number)
    with interruptible() as interruption:
        steps = [work.step("a"), Step("signal", lambda: os.kill(os.getpid(), number)), work.step("b")]
        with pytest.raises(Interrupted):
            perform(steps, lambda text: None, interruption)
    assert work.log == ["a", "not a"]
    assert signal.getsignal(number) is before


def test_waiting() -> None:
    seen = iter([False, False, True])
    assert Interruption().wait(lambda: next(seen), 10)
    assert not Interruption().wait(lambda: False, 0)
    with pytest.raises(Interrupted):
        Interruption(asked=True).wait(lambda: True, 10)
