"""What no file of the project says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.style.tree import PACKAGE, ROOT, python_files, shown, text_files

HERE = Path(__file__).resolve()

FORBIDDEN: dict[str, re.Pattern[str]] = {
    "a package registry's host": re.compile(
        r"pypi\.org|pythonhosted|registry\.npmjs|crates\.io|ghcr\.io|docker\.io|deb\.debian\.org", re.IGNORECASE
    ),
    "a path of somebody's machine": re.compile(r"/(?:root|home|work|Users)/\w|/opt/(?:pypi|wheels)"),
    "unfinished work": re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"),
    "an issue's number": re.compile(r"\bissue #?\d", re.IGNORECASE),
}

LATER_THAN_DEBIANS = re.compile(r"not_valid_(?:before|after)_utc|verify_directly_issued_by|load_pem_x509_certificates|hazmat\.decrepit")
"""What cryptography 38 does not have; only pki/compatible.py knows."""

WRITERS = frozenset({"print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"})
MAY_WRITE_TO_THE_TERMINAL = frozenset({"cli/output.py"})


def test_no_file_says_what_it_must_not() -> None:
    wrong = [
        f"{shown(path, number)}: {what}: {line.strip()[:120]}"
        for path in text_files()
        if path.resolve() != HERE
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_one_file_knows_what_an_older_cryptography_has_not() -> None:
    wrong = [
        shown(path, number)
        for path in python_files()
        if path.resolve() != HERE and path.name != "compatible.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if LATER_THAN_DEBIANS.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_one_file_writes_to_the_terminal() -> None:
    wrong = [
        shown(path, node.lineno)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).as_posix() not in MAY_WRITE_TO_THE_TERMINAL
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in WRITERS
    ]
    assert not wrong, "\n".join(wrong)


def test_tests_are_not_left_out_without_a_reason() -> None:
    wrong = [
        shown(path, number)
        for path in python_files()
        if path.resolve() != HERE
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"mark\.(?:xfail|skip)\b", line) or ("mark.skipif(" in line and "reason" not in line)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_patterns_see_what_they_forbid() -> None:
    assert FORBIDDEN["unfinished work"].search("# TODO: later")
    assert FORBIDDEN["a path of somebody's machine"].search("see /home/ann/notes")
    assert not FORBIDDEN["a path of somebody's machine"].search("/var/lib/thirdvote")
    assert (ROOT / "pyproject.toml") in text_files()
