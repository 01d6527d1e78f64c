from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

from thirdvote.enroll.desk import LoginDesk
from thirdvote.enroll.tree import AUTHORIZED_KEYS, NSSDB, Tree
from thirdvote.enroll.windows import Access
from thirdvote.errors import UserError

ACCESS = frozenset({3})
ADDRESS = "192.0.2.1:40000"


@dataclass
class OfficeHere:
    done: list[tuple[object, ...]] = field(default_factory=list)

    async def sign(self, access: Access, request: bytes, cluster_name: str, address: str) -> bytes:
        self.done.append(("sign", access, request, cluster_name, address))
        return b"certificate"

    def keys_came(self, access: Access, fingerprints: list[str], address: str) -> None:
        self.done.append(("keys", access, len(fingerprints), address))

    def certificate_went(self, access: Access, cluster_name: str, address: str) -> None:
        self.done.append(("went", access, cluster_name, address))

    def refused(self, what: str, address: str) -> None:
        self.done.append(("refused", what, address))


def desk(office: OfficeHere, qnetd_socket: str = "") -> LoginDesk:
    return LoginDesk(office, ACCESS, Tree(b"ca", 0), ADDRESS, qnetd_socket, lambda why: None, lambda: 17.9)


def key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()


def test_what_is_signed_is_in_the_files() -> None:
    office = OfficeHere()
    here = desk(office)
    path = asyncio.run(here.sign(b"request", "web"))
    assert path == f"{NSSDB}/cluster-web.crt"
    assert here.tree.read(path) == b"certificate"
    assert here.tree.entry(path).modified == here.clock() == 17
    here.has_read(path)
    here.has_read("/tmp/other")
    assert office.done == [("sign", ACCESS, b"request", "web", ADDRESS), ("went", ACCESS, "web", ADDRESS)]


def test_a_name_that_can_be_no_file() -> None:
    office = OfficeHere()
    with pytest.raises(UserError, match="has a slash"):
        asyncio.run(desk(office).sign(b"request", "../web"))
    assert office.done == []


def test_keys_are_added_one_below_the_other() -> None:
    office = OfficeHere()
    here = desk(office)
    one, other = key().strip(), key()
    here.add_keys(one)
    here.add_keys(other)
    assert here.tree.read(AUTHORIZED_KEYS).decode() == f"{one}\n{other}"
    with pytest.raises(UserError, match="no public key"):
        here.add_keys("hello")
    assert [entry[0] for entry in office.done] == ["keys", "keys"]


def test_without_a_socket_of_the_voter(tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "nowhere")):
        with pytest.raises(UserError):
            asyncio.run(desk(OfficeHere(), path).ask_voter("status"))


def test_what_is_refused_is_told() -> None:
    office = OfficeHere()
    desk(office).refused("no")
    assert office.done == [("refused", "no", ADDRESS)]
