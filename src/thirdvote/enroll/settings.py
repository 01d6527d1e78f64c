"""What the voter tells the enrolment at its start, as one line of JSON on its standard input; pure.

A password is in no argument and no variable on its way, where others could read it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from thirdvote.config import OFF, VOTE_PORT, Settings
from thirdvote.config_options import read_listen
from thirdvote.errors import UserError

CONTROL_NAME = "enroll.sock"
"""The control socket, in the data directory."""


@dataclass(frozen=True, slots=True)
class EnrollSettings:
    """As in `Settings`; places are `[ADDR:]PORT` or OFF."""

    data: str
    ssh: str = OFF
    https: str = OFF
    address: str = ""
    password: str = ""
    password_file: str = ""
    always: bool = False
    qnetd_socket: str = ""
    control: str = ""
    """The voter's control socket; empty: where it usually is."""
    vote_port: int = VOTE_PORT

    @classmethod
    def of(cls, settings: Settings) -> EnrollSettings:
        """UserError when they do not fit together."""
        if settings.enroll_password and settings.enroll_password_file:
            raise UserError("both enroll-password and enroll-password-file are set", "keep one of them")
        if settings.certificates and (settings.enroll_ssh != OFF or settings.enroll_https != OFF):
            where = f"the arbitrator uses the certificates in {settings.certificates}, with which enrolment can not sign"
            raise UserError(
                where, "run it as thirdvote serve (thirdvote ca import-nss takes them over), or set enroll-ssh and enroll-https to off"
            )
        if settings.enroll_always and not (settings.enroll_password or settings.enroll_password_file):
            raise UserError("enroll-always is on, but there is no password for it", "set enroll-password-file as well")
        return cls(
            data=settings.data,
            ssh=settings.enroll_ssh,
            https=settings.enroll_https,
            address=settings.enroll_address,
            password=settings.enroll_password,
            password_file=settings.enroll_password_file,
            always=settings.enroll_always,
            qnetd_socket=settings.qnetd_socket,
            control=settings.control,
            vote_port=settings.listen_port,
        )

    @property
    def is_wanted(self) -> bool:
        return self.ssh != OFF or self.https != OFF

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> EnrollSettings:
        """UserError when it is no such line."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError):
            raise UserError("the enrolment was started without its settings", "`thirdvote serve` starts it") from None


def listen_of(place: str) -> tuple[str | None, int] | None:
    """Host, None for all, and port; None for OFF."""
    return None if place == OFF else read_listen(place)
