"""Functions and files that a person can take in at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.style.tree import PACKAGE, python_files, shown

FUNCTION_LINES_MAX = 60
FUNCTION_LINES_USUAL = 15
FILE_LINES_MAX = 600


def test_no_function_is_too_long() -> None:
    long = [
        f"{shown(path, function.lineno)}: {function.name} has {length} lines"
        for path in python_files()
        for function, length in _functions(path)
        if length > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_most_functions_are_short() -> None:
    lengths = [length for path in sorted(PACKAGE.rglob("*.py")) for _, length in _functions(path)]
    usual = sum(length <= FUNCTION_LINES_USUAL for length in lengths)
    assert usual >= 0.8 * len(lengths), f"{usual} of {len(lengths)}"


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    long = [f"{shown(path, length)}" for path, length in lengths.items() if length > FILE_LINES_MAX]
    assert not long, "\n".join(long)


def _functions(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Functions and their lengths in lines, the signature counted and the docstring not."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node, node.end_lineno - node.lineno + 1 - _docstring_lines(node)


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    match node.body[0]:
        case ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=int(last)):
            return last - first + 1
        case _:
            return 0
