"""What belongs to one login over SSH: the files of its window, and what may be done there. The two ways in, commands and SFTP, share it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from thirdvote.enroll.keys import fingerprints
from thirdvote.enroll.tree import AUTHORIZED_KEYS, Tree, cluster_of
from thirdvote.enroll.voter_question import ask
from thirdvote.enroll.windows import Access
from thirdvote.errors import UserError


class Office(Protocol):
    """What all logins share."""

    async def sign(self, access: Access, request: bytes, cluster_name: str, address: str) -> bytes:
        """A certificate. UserError."""

    def keys_came(self, access: Access, fingerprints: list[str], address: str) -> None:
        """UserError."""

    def certificate_went(self, access: Access, cluster_name: str, address: str) -> None: ...

    def refused(self, what: str, address: str) -> None: ...


class LoginDesk:
    """`send_away` ends the connection with a sentence; `wall` is seconds since the epoch."""

    def __init__(
        self,
        office: Office,
        access: Access,
        tree: Tree,
        address: str,
        qnetd_socket: str,
        send_away: Callable[[str], None],
        wall: Callable[[], float],
    ) -> None:
        self._office = office
        self._access = access
        self._tree = tree
        self._address = address
        self._qnetd_socket = qnetd_socket
        self._send_away = send_away
        self._wall = wall

    @property
    def access(self) -> Access:
        return self._access

    @property
    def tree(self) -> Tree:
        return self._tree

    def clock(self) -> int:
        return int(self._wall())

    async def sign(self, request: bytes, cluster_name: str) -> str:
        if "/" in cluster_name:
            raise UserError(f"the cluster name {cluster_name!a} has a slash", "it can not be part of a file's name: choose another")
        certificate = await self._office.sign(self._access, request, cluster_name, self._address)
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
        self._office.keys_came(self._access, fingerprints(text), self._address)

    def has_read(self, path: str) -> None:
        cluster_name = cluster_of(path)
        if cluster_name is not None:
            self._office.certificate_went(self._access, cluster_name, self._address)

    def refused(self, what: str) -> None:
        self._office.refused(what, self._address)

    def send_away(self, why: str) -> None:
        self._send_away(why)
