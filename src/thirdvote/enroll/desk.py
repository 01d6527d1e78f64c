"""What belongs to one login over SSH: the files of its window, and what may be done there. The two ways in, commands and SFTP, share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from thirdvote.enroll.keys import fingerprints
from thirdvote.enroll.tree import AUTHORIZED_KEYS, Tree, cluster_of
from thirdvote.enroll.voter_question import ask
from thirdvote.enroll.windows import Access
from thirdvote.errors import UserError


@dataclass(frozen=True, slots=True)
class Login:
    """`key` is the fingerprint of the key that it was done with, empty for a password; `address` is host:port."""

    access: Access
    address: str
    key: str = ""


class Office(Protocol):
    """What all logins share."""

    async def sign(self, login: Login, request: bytes, cluster_name: str) -> bytes:
        """A certificate. UserError."""

    def keys_came(self, login: Login, fingerprints: list[str]) -> None:
        """UserError."""

    def certificate_went(self, login: Login, cluster_name: str) -> None: ...

    def refused(self, what: str, address: str) -> None: ...


def check_file_name(cluster_name: str) -> None:
    """UserError when no certificate can be named after it, as these programs expect it."""
    if "/" in cluster_name:
        raise UserError(f"the cluster name {cluster_name!a} has a slash", "it can not be part of a file's name: choose another")


class LoginDesk:
    """`send_away` ends the connection with a sentence; `wall` is seconds since the epoch."""

    def __init__(
        self,
        office: Office,
        login: Login,
        tree: Tree,
        qnetd_socket: str,
        send_away: Callable[[str], None],
        wall: Callable[[], float],
    ) -> None:
        self._office = office
        self._login = login
        self._tree = tree
        self._qnetd_socket = qnetd_socket
        self._send_away = send_away
        self._wall = wall

    @property
    def tree(self) -> Tree:
        return self._tree

    def clock(self) -> int:
        return int(self._wall())

    async def sign(self, request: bytes, cluster_name: str) -> str:
        try:
            check_file_name(cluster_name)
        except UserError as error:
            self.refused(str(error))
            raise
        certificate = await self._office.sign(self._login, request, cluster_name)
        return self._tree.put_certificate(cluster_name, certificate, self.clock())

    async def ask_voter(self, request: str) -> str:
        if not self._qnetd_socket:
            raise UserError("the arbitrator has no socket for its tool", "on its own host, see thirdvote clusters")
        return await ask(self._qnetd_socket, request)

    def add_keys(self, text: str) -> None:
        """Public keys that are to be let in from now on. UserError."""
        self.save_keys(text)
        kept = self._tree.read(AUTHORIZED_KEYS)
        addition = text.encode("utf-8", "replace")
        separator = b"\n" if kept and not kept.endswith(b"\n") else b""
        self._tree.begin(AUTHORIZED_KEYS, self.clock(), anew=False)
        self._tree.write(AUTHORIZED_KEYS, len(kept), separator + addition, self.clock())

    def save_keys(self, text: str) -> None:
        """The file with them is there already. UserError."""
        self._office.keys_came(self._login, fingerprints(text))

    def has_read(self, path: str) -> None:
        cluster_name = cluster_of(path)
        if cluster_name is not None:
            self._office.certificate_went(self._login, cluster_name)

    def refused(self, what: str) -> None:
        self._office.refused(what, self._login.address)

    def send_away(self, why: str) -> None:
        self._send_away(why)
