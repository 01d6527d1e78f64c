from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509

from tests.certificates import common_name, request
from thirdvote.cli.ca import ca
from thirdvote.errors import UserError
from thirdvote.pki import store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.ensure(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "node.crq"
    path.write_bytes(request("lab"))
    return path


def _run(*arguments: object) -> None:
    ca.main([str(argument) for argument in arguments], standalone_mode=False)


def test_show(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run("show", "--data", data)
    out, error = capsys.readouterr()
    lines = [line.split(maxsplit=1) for line in out.splitlines() if line]
    assert ["authority", "CN=QNet CA"] in lines
    assert ["server", "CN=Qnetd Server"] in lines
    assert ["key", "ECDSA P-256"] in lines
    assert ["file", f"{data}/pki/ca.crt"] in lines
    assert "days)" in out
    assert error == ""


def test_show_for_programs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run("show", "--data", data, "--json")
    shown = json.loads(capsys.readouterr().out)
    facts = {fact.role: fact for fact in store.facts(data)}
    assert shown.keys() == facts.keys() == {"authority", "server"}
    for role, fact in facts.items():
        assert shown[role]["fingerprint_sha256"] == fact.fingerprint_sha256
        assert shown[role]["valid_until"] == fact.valid_until.isoformat()
        assert shown[role]["file"] == str(fact.file)


def test_show_before_the_first_start(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no certificates in") as caught:
        _run("show", "--data", tmp_path)
    assert f"thirdvote serve --data {tmp_path}" in str(caught.value.hint)


def test_sign_to_standard_output(data: Path, file: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    _run("sign", file, "--name", "lab", "--data", data)
    out, _ = capsysbinary.readouterr()
    assert x509.load_pem_x509_certificate(out).subject == common_name("lab")


def test_sign_into_a_file(data: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run("sign", file, "--name", "lab", "--out", tmp_path / "lab.crt", "--data", data)
    assert x509.load_pem_x509_certificate((tmp_path / "lab.crt").read_bytes()).subject == common_name("lab")
    out, error = capsys.readouterr()
    assert out == ""
    assert f"the certificate for 'lab' is in {tmp_path}/lab.crt" in error


def test_sign_from_standard_input(data: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(request("lab"))))
    _run("sign", "-", "--name", "lab", "--data", data)
    assert capsysbinary.readouterr().out.startswith(b"-----BEGIN CERTIFICATE-----")


def test_a_refused_request_leaves_no_file(data: Path, file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the request is for 'lab', not for 'other'"):
        _run("sign", file, "--name", "other", "--out", tmp_path / "crt", "--data", data)
    assert not (tmp_path / "crt").exists()


def test_no_request(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no request"):
        _run("sign", tmp_path / "none", "--name", "lab", "--data", data)
