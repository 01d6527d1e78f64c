"""The findings of `thirdvote doctor` and the page that explains them are the same list."""

from __future__ import annotations

import ast
import re

from tests.style.tree import PACKAGE, ROOT, imports
from thirdvote.doctor.findings import Kind

ROW = re.compile(r"^\| `([a-z-]+)` \| (ok|note|warning|failure) \|", re.MULTILINE)


def test_every_finding_is_explained() -> None:
    explained = ROW.findall((ROOT / "docs" / "doctor.md").read_text(encoding="utf-8"))
    assert sorted(explained) == sorted((kind.id, kind.level.word) for kind in Kind)


def test_every_finding_can_be_found() -> None:
    """None that only the list knows."""
    used = {
        node.attr
        for path in (PACKAGE / "doctor").glob("judge*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Kind"
    }
    assert sorted(kind.name for kind in Kind if kind.name not in used) == []


def test_judges_look_at_nothing() -> None:
    """They have what was seen, and the time with it."""
    allowed = {"__future__", "collections", "dataclasses", "datetime", "enum", "typing", "thirdvote"}
    for path in [*(PACKAGE / "doctor").glob("judge*.py"), *(PACKAGE / "doctor" / name for name in ("facts.py", "findings.py"))]:
        text = path.read_text(encoding="utf-8")
        imported = {target.target.split(".")[0] for target in imports(ast.parse(text))}
        assert imported <= allowed, path.name
        assert ".now(" not in text, path.name
