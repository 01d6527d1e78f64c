from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.certificates import request
from thirdvote.cli import certutil

PROGRAM = "/usr/bin/corosync-qnetd-certutil"

Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(sys, "argv", [PROGRAM])

    def run(*arguments: object) -> Ran:
        status = certutil.main([str(argument) for argument in arguments], folder)
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "node.crq"
    path.write_bytes(request("lab"))
    return path


@pytest.mark.parametrize("arguments", [(), ("-h",), ("-i", "-h"), ("-s", "-h", "-x"), ("word", "-i"), ("--", "-i"), ("-", "-i"), ("-G",)])
def test_usage(run: Run, arguments: tuple[str, ...], folder: Path) -> None:
    status, out, error = run(*arguments)
    assert (status, error) == (0, "")
    assert out.startswith(f"{PROGRAM}: [-i|-s] [-c certificate] [-G] [-n cluster_name]\n\n -i ")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-x",), "Invalid option: -x"),
        (("-i", "-x"), "Invalid option: -x"),
        (("-ix",), "Invalid option: -x"),
        (("-:",), "Invalid option: -:"),
        (("--help",), "Invalid option: --"),
        (("-c",), "Option -c requires an argument."),
        (("-s", "-n"), "Option -n requires an argument."),
        (("-sn",), "Option -n requires an argument."),
    ],
)
def test_bad_options(run: Run, arguments: tuple[str, ...], message: str, folder: Path) -> None:
    assert run(*arguments) == (1, "", f"{message}\n")
    assert not folder.exists()


def test_options_may_be_joined_and_the_last_operation_wins() -> None:
    options = certutil.parse(["-iGs", "-cfile", "-n", "a", "-nb"])
    assert options == certutil.Options("s", "file", "b", group_writes=False)
    assert certutil.parse(["-s", "-i"]).operation == "i"


def test_initialize_twice(run: Run, folder: Path) -> None:
    status, out, error = run("-i")
    assert (status, error) == (0, "")
    assert out.splitlines()[0] == f"Creating {folder}"
    assert out.splitlines()[-1] == f"QNetd CA certificate is exported as {folder}/qnetd-cacert.crt"
    before = (folder / "cert9.db").read_bytes()
    assert run("-i") == (1, "", f"Certificate database ({folder}) already exists. Delete it to initialize new db\n")
    assert (folder / "cert9.db").read_bytes() == before


def test_group_does_not_write(run: Run, folder: Path) -> None:
    run("-i", "-G")
    assert (folder / "key4.db").stat().st_mode & 0o777 == 0o640


def test_sign(run: Run, file: Path, folder: Path) -> None:
    run("-i")
    signed = (0, f"Signing cluster certificate\nCertificate stored in {folder}/cluster-lab.crt\n", "")
    assert run("-s", "-c", file, "-n", "lab") == signed


def test_what_has_to_be_given(run: Run, file: Path, folder: Path) -> None:
    assert run("-s") == (2, "", "Can't open certificate file \n")
    assert run("-s", "-c", "/none", "-n", "lab") == (2, "", "Can't open certificate file /none\n")
    assert run("-s", "-c", file) == (2, "", "You have to specify cluster name\n")
    assert run("-s", "-c", file, "-n", "") == (2, "", "You have to specify cluster name\n")
    assert run("-s", "-c", file, "-n", "lab") == (1, "", f"Certificate database doesn't exists. Use {PROGRAM} -i to create it\n")


@pytest.mark.parametrize(
    ("name", "why"), [("other", "the request is for 'lab', not for 'other'"), ("../lab", "has a slash"), ("LAB", "not for 'LAB'")]
)
def test_failures_fail(run: Run, file: Path, folder: Path, name: str, why: str) -> None:
    """The stock tool says "Certificate stored" and ends with 0."""
    run("-i")
    status, out, error = run("-s", "-c", file, "-n", name)
    assert (status, out) == (1, "Signing cluster certificate\n")
    assert why in error
    assert "\nhint: " in error
    assert list(folder.parent.rglob("cluster-*")) == []


def test_a_directory_is_no_request(run: Run, folder: Path) -> None:
    run("-i")
    status, _, error = run("-s", "-c", folder, "-n", "lab")
    assert status == 1
    assert "is a directory" in error


def test_garbage_is_no_certificate(run: Run, file: Path, folder: Path) -> None:
    run("-i")
    file.write_bytes(os.urandom(700))
    status, _, error = run("-s", "-c", file, "-n", "lab")
    assert status == 1
    assert "no certificate request" in error
    assert not (folder / "cluster-lab.crt").exists()


def test_a_directory_that_can_not_be_made(run: Run, folder: Path) -> None:
    folder.touch()
    status, _, error = run("-i")
    assert status == 1
    assert f"{folder}, can not be used" in error
