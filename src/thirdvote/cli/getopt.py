"""Short options as the C library's getopt takes them: one at a time, so that what comes first is what is complained about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


class BadOption(Exception):
    """`str()` is the C library's message, without the program's name."""


def options(known: str, arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Letter and value ("" without one) of each; `known` as in getopt(3). Other words are passed over, "--" ends."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return
        if argument.startswith("-") and argument != "-":
            yield from _letters(known, argument[1:], rest)


def _letters(known: str, letters: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter == ":" or letter not in known:
            raise BadOption(f"invalid option -- '{letter}'")
        if f"{letter}:" not in known:
            yield letter, ""
            continue
        value = letters or next(rest, None)
        if value is None:
            raise BadOption(f"option requires an argument -- '{letter}'")
        yield letter, value
        return
