"""Who can get at the authority's key: by the rights of the files, and by what is in the voter's memory."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.certificates import request
from tests.voter_process import VoterProcess
from thirdvote.pki import stock

pytestmark = pytest.mark.e2e

CHUNK_BYTES = 1 << 20
OWNER = 12_345


@pytest.fixture
def voter(tmp_path: Path) -> Iterator[VoterProcess]:
    voter = VoterProcess(tmp_path)
    voter.start()
    yield voter
    voter.stop()


def ca(data: Path, control: Path, *arguments: str | Path) -> str:
    command = [sys.executable, "-m", "thirdvote", "ca", *map(str, arguments), "--data", str(data), "--control", str(control)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def has_in_memory(pid: int, secrets: list[bytes]) -> bool:
    """The kernel lets root, or the parent of a process, look."""
    longest = max(map(len, secrets))
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            place, rights, *_ = line.split()
            if not rights.startswith("r") or "[v" in line:
                continue
            start, end = (int(each, 16) for each in place.split("-"))
            for offset in range(start, end, CHUNK_BYTES):
                try:
                    memory.seek(offset)
                    found = memory.read(min(CHUNK_BYTES + longest, end - offset))
                except OSError:
                    break  # taken away meanwhile, or of a device
                if any(secret in found for secret in secrets):
                    return True
    return False


def forms_of(path: Path) -> list[bytes]:
    """How a key may lie in memory: as a number in both orders, as DER, as text."""
    text = path.read_bytes()
    key = serialization.load_pem_private_key(text, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value
    return [number.to_bytes(32, "big"), number.to_bytes(32, "little"), text.splitlines()[1]]


def test_the_authoritys_key_is_never_in_the_voters_memory(voter: VoterProcess, tmp_path: Path) -> None:
    """Its own key is, which shows that the search finds one."""
    pki, request_path = voter.data / "pki", tmp_path / "web.crq"
    authority, server = forms_of(pki / "ca.key"), forms_of(pki / "server.key")
    request_path.write_bytes(request("web"))
    ca(voter.data, voter.control_path, "sign", request_path, "--name", "web", "--replace")
    ca(voter.data, voter.control_path, "revoke", "web")
    ca(voter.data, voter.control_path, "renew")
    ca(voter.data, voter.control_path, "renew", "--authority")
    assert has_in_memory(voter.pid, server)
    assert not has_in_memory(voter.pid, authority)
    assert not has_in_memory(voter.pid, forms_of(pki / "ca.key"))


def test_the_owner_alone_reads_keys_whatever_is_done(voter: VoterProcess, tmp_path: Path) -> None:
    stock.initialize(tmp_path / "nssdb", stock.GROUP_WRITES, lambda text: None)
    for arguments in (("renew",), ("renew", "--authority"), ("renew", "--finish"), ("import-nss", tmp_path / "nssdb", "--force")):
        ca(voter.data, voter.control_path, *arguments)
        keys = list(voter.data.glob("pki*/*.key"))
        assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
        assert {stat.S_IMODE(path.parent.stat().st_mode) for path in keys} == {0o700}
    assert len(list(voter.data.glob("pki*/ca.key"))) == 4, "the folder, and what was there before each authority"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder away")
def test_root_leaves_everything_to_the_user_that_runs_the_arbitrator(tmp_path: Path) -> None:
    data, nobody = tmp_path / "data", tmp_path / "s"
    stock.initialize(tmp_path / "nssdb", stock.GROUP_WRITES, lambda text: None)
    stock.sign(tmp_path / "nssdb", request("db"), "db", lambda text: None)
    ca(data, nobody, "import-nss", tmp_path / "nssdb")
    for path in (data, data / "pki", *(data / "pki").iterdir()):
        os.chown(path, OWNER, OWNER)
    (tmp_path / "web.crq").write_bytes(request("web"))
    ca(data, nobody, "sign", tmp_path / "web.crq", "--name", "web", "--out", tmp_path / "web.crt")
    ca(data, nobody, "revoke", "db")
    for arguments in (
        ("renew",),
        ("renew", "--authority"),
        ("renew", "--finish", "--force"),
        ("import-nss", tmp_path / "nssdb", "--force"),
    ):
        ca(data, nobody, *arguments)
        made = [path for path in data.rglob("*") if (path.stat().st_uid, path.stat().st_gid) != (OWNER, OWNER)]
        assert made == []
