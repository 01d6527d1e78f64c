from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

from thirdvote.enroll.desk import Login, LoginDesk
from thirdvote.enroll.tree import AUTHORIZED_KEYS, NSSDB, Tree
from thirdvote.errors import UserError

LOGIN = Login(frozenset({3}), "192.0.2.1:40000", "SHA256:a")


@dataclass
class OfficeHere:
    done: list[tuple[object, ...]] = field(default_factory=list)

    async def sign(self, login: Login, request: bytes, cluster_name: str) -> bytes:
        self.done.append(("sign", login, request, cluster_name))
        return b"certificate"

    def keys_came(self, login: Login, fingerprints: list[str]) -> None:
        self.done.append(("keys", login, len(fingerprints)))

    def certificate_went(self, login: Login, cluster_name: str) -> None:
        self.done.append(("went", login, cluster_name))

    def refused(self, what: str, address: str) -> None:
        self.done.append(("refused", what, address))


def desk(office: OfficeHere, qnetd_socket: str = "") -> LoginDesk:
    return LoginDesk(office, LOGIN, Tree(b"ca", 0), qnetd_socket, lambda why: None, lambda: 17.9)


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
    assert office.done == [("sign", LOGIN, b"request", "web"), ("went", LOGIN, "web")]


def test_a_name_that_can_be_no_file() -> None:
    office = OfficeHere()
    with pytest.raises(UserError, match="has a slash"):
        asyncio.run(desk(office).sign(b"request", "../web"))
    assert [entry[0] for entry in office.done] == ["refused"]


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
    assert office.done == [("refused", "no", LOGIN.address)]
