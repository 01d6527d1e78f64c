"""Every exception of the program. A protocol error carries the code that its reply has on the wire."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ReplyCode(IntEnum):
    """Values of the option REPLY_ERROR_CODE."""

    NO_ERROR = 0
    UNSUPPORTED_NEEDED_MESSAGE = 1
    UNSUPPORTED_NEEDED_OPTION = 2
    TLS_REQUIRED = 3
    UNSUPPORTED_MESSAGE = 4
    MESSAGE_TOO_LONG = 5
    PREINIT_REQUIRED = 6
    OPTION_MISSING = 7
    UNEXPECTED_MESSAGE = 8
    UNDECODABLE = 9
    INTERNAL_ERROR = 10
    INIT_REQUIRED = 11
    UNSUPPORTED_ALGORITHM = 12
    INVALID_HEARTBEAT = 13
    UNSUPPORTED_FOR_ALGORITHM = 14
    TIE_BREAKER_DIFFERS = 15
    ALGORITHM_DIFFERS = 16
    DUPLICATE_NODE_ID = 17
    INVALID_CONFIG_LIST = 18
    INVALID_MEMBERSHIP_LIST = 19


class ThirdvoteError(Exception):
    """The root of all of ours."""


class UserError(ThirdvoteError):
    """Something a person can mend. `str()` says what is wrong and where, `hint` how to mend it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def with_hint(self) -> str:
        """Both on one line, as a log has them."""
        return f"{self} (hint: {self.hint})" if self.hint else str(self)


class UsageError(UserError):
    """A command was given something that it does not take: exit status 2."""


class PassingError(UserError):
    """What may be over when it is tried again: exit status 75, upon which a service manager does."""


class ProtocolError(ThirdvoteError):
    """The peer sent something that is answered with `code`; the connection goes on."""

    code: ClassVar[ReplyCode] = ReplyCode.INTERNAL_ERROR


class Undecodable(ProtocolError):
    """`sequence_number` is that of the message where it was read before the fault, else None."""

    code = ReplyCode.UNDECODABLE

    def __init__(self, what: str, sequence_number: int | None = None) -> None:
        super().__init__(what)
        self.sequence_number = sequence_number


class InvalidConfigList(ProtocolError):
    code = ReplyCode.INVALID_CONFIG_LIST


class InvalidMembershipList(ProtocolError):
    code = ReplyCode.INVALID_MEMBERSHIP_LIST


class UnsupportedAlgorithm(ProtocolError):
    code = ReplyCode.UNSUPPORTED_ALGORITHM


class UnsupportedForAlgorithm(ProtocolError):
    code = ReplyCode.UNSUPPORTED_FOR_ALGORITHM
