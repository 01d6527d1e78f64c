from __future__ import annotations

import pytest

from thirdvote.cli.getopt import BadOption, options


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], []),
        (["-a"], [("a", "")]),
        (["-ab", "x"], [("a", ""), ("b", "x")]),
        (["-bx"], [("b", "x")]),
        (["-b", "-a"], [("b", "-a")]),
        (["-b", ""], [("b", "")]),
        (["word", "-a", "-"], [("a", "")]),
        (["-a", "--", "-b"], [("a", "")]),
    ],
)
def test_options(arguments: list[str], found: list[tuple[str, str]]) -> None:
    assert list(options("ab:", arguments)) == found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-x"], "invalid option -- 'x'"),
        (["-a:"], "invalid option -- ':'"),
        (["--all"], "invalid option -- '-'"),
        (["-b"], "option requires an argument -- 'b'"),
    ],
)
def test_bad_options(arguments: list[str], message: str) -> None:
    with pytest.raises(BadOption) as caught:
        list(options("ab:", arguments))
    assert str(caught.value) == message


def test_what_comes_before_a_bad_option_counts() -> None:
    found = options("ab:", ["-a", "-x"])
    assert next(found) == ("a", "")
    with pytest.raises(BadOption):
        next(found)
