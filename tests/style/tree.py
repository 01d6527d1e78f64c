"""The checkout as the style tests see it: its modules, who imports whom, and its text files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "thirdvote"
CODE_FOLDERS = ("src", "tests", "bench", "scripts")
TEXT_FOLDERS = (*CODE_FOLDERS, "docs", "requirements", ".ci")
TEXT_SUFFIXES = frozenset({"", ".py", ".md", ".txt", ".toml", ".sh", ".cfg", ".yml", ".yaml"})


@dataclass(frozen=True)
class Module:
    """`name` is dotted below the package: "" for the package itself, "wire.codec" for thirdvote.wire.codec."""

    path: Path
    name: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.split(".")[0]

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@dataclass(frozen=True)
class Import:
    """`target` is the dotted name of a module, or of something in it."""

    target: str
    line: int


@cache
def package_modules() -> tuple[Module, ...]:
    return tuple(_module(path) for path in sorted(PACKAGE.rglob("*.py")))


def imports(tree: ast.AST) -> Iterator[Import]:
    """Everything that is imported anywhere in the module, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            for alias in node.names:
                yield Import(f"{node.module}.{alias.name}", node.lineno)


def own_imports(module: Module) -> Iterator[Import]:
    """Imports from the package, their targets as names below it."""
    for imported in imports(module.tree):
        if imported.target.startswith("thirdvote."):
            yield Import(imported.target.removeprefix("thirdvote."), imported.line)


def python_files() -> list[Path]:
    return [path for folder in CODE_FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def text_files() -> list[Path]:
    inside = [path for folder in TEXT_FOLDERS for path in sorted((ROOT / folder).rglob("*"))]
    return [path for path in [*sorted(ROOT.iterdir()), *inside] if _is_ours(path)]


def shown(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def _is_ours(path: Path) -> bool:
    hidden = path.name.startswith(".") and path.name != ".gitignore"
    return path.is_file() and not hidden and path.suffix in TEXT_SUFFIXES and "__pycache__" not in path.parts


def _module(path: Path) -> Module:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    return Module(path, name, ast.parse(path.read_text(encoding="utf-8"), str(path)))
