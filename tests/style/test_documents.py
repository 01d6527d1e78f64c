"""What the documents say is there, is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
from click.testing import CliRunner

from tests.style.tree import ROOT
from thirdvote.cli.main import thirdvote

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DIFFERENCES = ROOT / "docs" / "differences.md"
STOCK_DEFECTS = [f"S{number}" for number in range(1, 43)]

ROW = re.compile(r"^\| ([SL]\d+) \|(.+)\|(.+)\|(.+)\|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"(?:^[\w@-]*[$#] |`)(?:\S*/)?thirdvote((?: [^`#\n]+)?)", re.MULTILINE)


def rows() -> dict[str, str]:
    """Each difference with its last column."""
    return {match[1]: match[4].strip() for match in ROW.finditer(DIFFERENCES.read_text(encoding="utf-8"))}


def test_every_defect_of_the_stock_server_is_listed() -> None:
    assert sorted(set(STOCK_DEFECTS) - rows().keys()) == []


def test_every_difference_names_a_test_that_exists() -> None:
    assert [label for label, shown_by in rows().items() if not _tests_exist(shown_by)] == []


def test_every_difference_has_a_label_of_its_own() -> None:
    labels = [match[1] for match in ROW.finditer(DIFFERENCES.read_text(encoding="utf-8"))]
    assert sorted(labels) == sorted(set(labels))


def test_links_lead_somewhere() -> None:
    wrong = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in DOCUMENTS
        for target in LINK.findall(document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert not wrong, "\n".join(wrong)


def test_every_page_is_in_the_list_of_pages() -> None:
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if page.name != "README.md" and f"({page.name})" not in text] == []


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {target for document in DOCUMENTS for target in re.findall(r"(?:`|\$ )make (\w+)", document.read_text(encoding="utf-8"))}
    assert named - targets == set()


def test_folders_and_files_that_are_named_exist() -> None:
    pattern = re.compile(r"`((?:src|tests|docs|scripts|requirements|bench)/[\w./*-]*)`")
    named = {(document, path) for document in DOCUMENTS for path in pattern.findall(document.read_text(encoding="utf-8"))}
    assert [f"{document.name}: {path}" for document, path in named if not list(ROOT.glob(path.rstrip("/")))] == []


def test_commands_are_taken_by_the_program() -> None:
    """Every `thirdvote …` in the documents: the command exists, and its options do."""
    runner = CliRunner()
    wrong = []
    for document in DOCUMENTS:
        for line in COMMAND.findall(document.read_text(encoding="utf-8")):
            words = shlex.split(line, comments=True)
            names, options = _split(words)
            result = runner.invoke(thirdvote, [*names, "--help"])
            missing = [option for option in options if option not in result.output]
            if result.exit_code or missing:
                wrong.append(f"{document.name}: thirdvote {line.strip()}: {', '.join(missing) or result.output.strip()[-200:]}")
    assert not wrong, "\n".join(wrong)


def _tests_exist(shown_by: str) -> bool:
    named = TEST.findall(shown_by)
    return bool(named) and all(_has_test(ROOT / path, name) for path, name in named)


def _has_test(path: Path, name: str) -> bool:
    return path.is_file() and re.search(rf"^\s*(?:async )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Command names, as long as they are such, and the options behind."""
    names: list[str] = []
    command: click.Command | None = thirdvote
    for word in words:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        command = command.get_command(click.Context(command), word)
        names.append(word)
    return names, [word.partition("=")[0] for word in words if word.startswith("--")]
