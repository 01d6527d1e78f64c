"""Work in steps of which each can be undone: when one fails, or somebody presses Ctrl-C, what was done is undone in reverse order.

A signal ends no command halfway, on no node: what runs is waited for, and then the way back begins. An undo has to work as well when
its step was done in part.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from thirdvote.errors import UserError

Say = Callable[[str], None]

POLL_S = 0.3
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The last comes when the terminal, or the ssh connection to it, goes away."""


class Interrupted(UserError):
    """Somebody wants it to end."""


@dataclass
class Interruption:
    """Seen between two commands, and while something is waited for."""

    asked: bool = field(default=False)

    def check(self) -> None:
        if self.asked:
            raise Interrupted("interrupted", None)

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """False when it did not come true in that time. Interrupted."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            if until():
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """From here on a signal is a request, not an end."""
    interruption = Interruption()
    before = {number: signal.signal(number, interruption._ask) for number in SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class Step:
    """`what` is said before it, `way_back` before its undo; one that says nothing only has to be in its place."""

    what: str
    do: Callable[[], None]
    undo: Callable[[], None] | None = None
    way_back: str = ""


def perform(steps: Sequence[Step], say: Say, interruption: Interruption) -> None:
    """All of them, or none: UserError, then everything is as it was, and where it is not `say` has said so."""
    done: list[Step] = []
    try:
        for step in steps:
            interruption.check()
            done.append(step)
            _tell(say, step.what)
            step.do()
    except BaseException as error:
        _undo(done, say, error)
        raise


def _undo(done: list[Step], say: Say, error: BaseException) -> None:
    to_undo = [step for step in reversed(done) if step.undo is not None]
    if to_undo:
        _tell(say, f"{error}: undoing what was done" if isinstance(error, UserError) else "a fault of the program: undoing what was done")
    for step in to_undo:
        assert step.undo is not None
        _tell(say, step.way_back and f"undo: {step.way_back}")
        try:
            step.undo()
        except UserError as problem:
            _tell(say, f"this could not be undone, do it by hand: {problem}" + (f" ({problem.hint})" if problem.hint else ""))
        except Exception as problem:
            _tell(say, f"this could not be undone, do it by hand: {step.way_back or step.what}: {type(problem).__name__}: {problem}")


def _tell(say: Say, text: str) -> None:
    """The way back goes on when the terminal is gone."""
    if text:
        with suppress(OSError):
            say(text)
