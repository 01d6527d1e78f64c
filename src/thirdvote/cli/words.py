"""Figures and lists as a person says them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float) -> str:
    """The two largest units that count: "3 h 12 min", "45 s"."""
    rest = int(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0 s"


def until(time: str | None, seconds: float | None) -> str:
    """Behind a reason: a time in ISO 8601 as the clock on the wall will show it, which is so many seconds from now; nothing without one."""
    if time is None or seconds is None:
        return ""
    left = f", {duration(seconds)} from now" if seconds >= 1 else ""
    return f"; until {datetime.fromisoformat(time).astimezone():%H:%M:%S}{left}"


def named(name: str) -> str:
    """A cluster's name where it stands alone: an empty one is seen, too."""
    return name or '""'


def counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(words: Iterable[object]) -> str:
    """ "1", "1 and 2", "1, 2 and 3"; "none" for nothing."""
    texts: Sequence[str] = [str(word) for word in words]
    if not texts:
        return "none"
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
