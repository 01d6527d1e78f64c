"""A stream of bytes cut into messages, with bounded memory.

A message that is too long, or of a type that is not known, is thrown away as it comes, up to the 4 GiB that a header
can announce; only when it is over does the reader say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from thirdvote.errors import ReplyCode
from thirdvote.wire.codec import HEADER
from thirdvote.wire.messages import MessageType

_TYPES = {int(kind): kind for kind in MessageType}


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, its body not read yet."""

    type: MessageType
    body: bytes


@dataclass(frozen=True, slots=True)
class Skipped:
    """One message that was thrown away whole: UNSUPPORTED_MESSAGE, or else MESSAGE_TOO_LONG."""

    code: ReplyCode


class FrameReader:
    """Feed it bytes, then call `next` until it gives None; what it then still keeps is less than one message of `maximum_size`.

    `maximum_size` is in bytes, header included, and may be changed between messages.
    """

    __slots__ = ("_buffer", "_left_to_skip", "_skipping", "maximum_size")

    def __init__(self, maximum_size: int) -> None:
        self.maximum_size = maximum_size
        self._buffer = bytearray()
        self._skipping: ReplyCode | None = None
        self._left_to_skip = 0

    def feed(self, data: bytes) -> None:
        self._buffer += self._skip(data) if self._left_to_skip else data

    def next(self) -> Frame | Skipped | None:
        """The next message; None when more bytes are needed."""
        if self._skipping is None and len(self._buffer) >= HEADER.size:
            number, length = HEADER.unpack_from(self._buffer)
            kind = _TYPES.get(number)
            size = HEADER.size + length
            if kind is not None and size <= self.maximum_size:
                return self._take(kind, size)
            self._start_skipping(ReplyCode.UNSUPPORTED_MESSAGE if kind is None else ReplyCode.MESSAGE_TOO_LONG, size)
        if self._skipping is None or self._left_to_skip:
            return None
        skipped, self._skipping = Skipped(self._skipping), None
        return skipped

    def take_rest(self) -> bytes:
        """Every byte that no message was made of yet. The reader forgets them, and what it was skipping."""
        rest = bytes(self._buffer)
        self._buffer = bytearray()
        self._skipping, self._left_to_skip = None, 0
        return rest

    def _take(self, kind: MessageType, size: int) -> Frame | None:
        if len(self._buffer) < size:
            return None
        body = bytes(self._buffer[HEADER.size : size])
        del self._buffer[:size]
        return Frame(kind, body)

    def _start_skipping(self, code: ReplyCode, size: int) -> None:
        self._skipping, self._left_to_skip = code, size
        self._buffer = bytearray(self._skip(bytes(self._buffer)))

    def _skip(self, data: bytes) -> bytes:
        """What of `data` lies behind the message that is being thrown away."""
        skipped = min(len(data), self._left_to_skip)
        self._left_to_skip -= skipped
        return data[skipped:]
