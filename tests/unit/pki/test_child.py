from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from thirdvote.errors import UserError
from thirdvote.pki import child, stock
from thirdvote.pki.paths import data_directory, stock_directory


def test_the_first_start_and_the_second(tmp_path: Path) -> None:
    first = child.prepare_data(tmp_path)
    assert first == child.Prepared(data_directory(tmp_path), created=True, facts=first.facts)
    assert first.facts.keys() == {"authority", "server"}
    assert child.prepare_data(tmp_path) == child.Prepared(first.paths, created=False, facts=first.facts)


def test_a_fault_comes_back_with_its_hint(tmp_path: Path) -> None:
    key = child.prepare_data(tmp_path).paths.server_key
    key.chmod(0o644)
    with pytest.raises(UserError, match="is open to other users") as caught:
        child.prepare_data(tmp_path)
    assert f"chmod 600 {key}" in str(caught.value.hint)


def test_a_stock_directory(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no certificate database in"):
        child.prepare_stock(tmp_path / "db", tmp_path)
    stock.initialize(tmp_path / "db", stock.GROUP_WRITES, lambda text: None)
    assert child.prepare_stock(tmp_path / "db", tmp_path).paths == stock_directory(tmp_path / "db")


def test_another_nickname(tmp_path: Path) -> None:
    stock.initialize(tmp_path / "db", stock.GROUP_WRITES, lambda text: None)
    with pytest.raises(UserError, match="has no 'Other' with its key"):
        child.prepare_stock(tmp_path / "db", tmp_path, "Other")


def test_a_fault_of_the_program_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('broken')\n")
    monkeypatch.setattr(child, "_environment", lambda: {"PYTHONPATH": f"{tmp_path}:{Path(child.__file__).parents[2]}"})
    with pytest.raises(UserError, match=r"^the certificates could not be prepared: RuntimeError: broken$"):
        child.prepare_data(tmp_path / "data")


@pytest.mark.parametrize(("error", "hint"), [(PermissionError(13, "no"), "may use it"), (OSError(24, "Too many open files"), "short of")])
def test_the_hint_is_about_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, hint: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("subprocess.run", fail)
    with pytest.raises(UserError, match="can not be run") as caught:
        child.prepare_data(tmp_path)
    assert hint in (caught.value.hint or "")


def test_no_interpreter_for_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UserError, match=f"{tmp_path}/python can not be run"):
        child.prepare_data(tmp_path / "data")


def test_no_module_of_the_callers_directory_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('somebody else wrote this')\n")
    monkeypatch.chdir(tmp_path)
    assert child.prepare_data(tmp_path / "data").created


def test_the_voters_side_loads_no_cryptography() -> None:
    """Neither the authority's key nor what could use it is in the voter's memory."""
    program = "import sys, thirdvote.pki.child, thirdvote.pki.paths, thirdvote.pki.revocation_list; sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
