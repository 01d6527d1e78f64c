"""One node's connection, from the node's side: the part of `corosync-qdevice` that speaks to the arbitrator.

    PREINIT_SENT --PREINIT_REPLY--> [HANDSHAKE -->] INIT_SENT --INIT_REPLY--> JOINED --introduce()--> RUNNING --> CLOSED

`REACTIONS` is the whole of the rules: for each state and each message that is expected in it, what happens. Every other
message ends the connection; `FOLLOWS` says for each cause of an end whether the node connects anew or its daemon exits,
and `TLS_CHOICE` what becomes of the two sides' wishes about TLS. What the tables cannot say:

* Requests are numbered by one counter for the life of the daemon, not of the connection: each takes the next number,
  but PREINIT takes the current one again. Hand `last_number` of one session to the next. Echoes count from 1 in each
  connection.
* JOINED waits for the heuristics that run after connecting; `introduce` then sends everything there is to say in one
  burst. What the node reports sooner is only remembered, and goes into INIT or into that burst.
* A vote counts only when it is for the ring that was sent last, in INIT or in a membership list. VOTE_INFO is answered
  whether or not it counts: the arbitrator waits for the answer.
* A new membership takes the vote away until the arbitrator has spoken of the new ring.
* An echo goes out every heartbeat. One that is unanswered when the next is due ends the connection, so a silent
  arbitrator is noticed within two heartbeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from thirdvote.domain import TlsSupport
from thirdvote.errors import ReplyCode
from thirdvote.wire.messages import MessageType

INITIAL_MESSAGE_SIZE = 32_768
"""Bytes of one message, header included, until INIT_REPLY has told the arbitrator's figures: the stock client's."""
REQUEST_SIZE_MIN = 32_768
"""An arbitrator that takes less is not accepted: the stock client's bound."""
REPLY_SIZE_MAX = 16_777_216
"""An arbitrator that may send more is not accepted: the stock client's bound."""


class State(Enum):
    PREINIT_SENT = auto()
    HANDSHAKE = auto()
    INIT_SENT = auto()
    JOINED = auto()
    RUNNING = auto()
    CLOSED = auto()


class TlsWish(Enum):
    """`quorum.device.net.tls`. ON takes a plain connection from an arbitrator that has no TLS; who does not want that says REQUIRED."""

    OFF = "off"
    ON = "on"
    REQUIRED = "required"


class TlsChoice(Enum):
    PLAIN = auto()
    TLS = auto()
    INCOMPATIBLE = auto()


TLS_CHOICE: Mapping[TlsWish, Mapping[TlsSupport, TlsChoice]] = {
    TlsWish.OFF: {
        TlsSupport.UNSUPPORTED: TlsChoice.PLAIN,
        TlsSupport.SUPPORTED: TlsChoice.PLAIN,
        TlsSupport.REQUIRED: TlsChoice.INCOMPATIBLE,
    },
    TlsWish.ON: {
        TlsSupport.UNSUPPORTED: TlsChoice.PLAIN,
        TlsSupport.SUPPORTED: TlsChoice.TLS,
        TlsSupport.REQUIRED: TlsChoice.TLS,
    },
    TlsWish.REQUIRED: {
        TlsSupport.UNSUPPORTED: TlsChoice.INCOMPATIBLE,
        TlsSupport.SUPPORTED: TlsChoice.TLS,
        TlsSupport.REQUIRED: TlsChoice.TLS,
    },
}


class Reaction(Enum):
    CHOOSE_TLS = auto()
    JOIN = auto()
    TAKE_ECHO = auto()
    TAKE_VOTE = auto()
    TAKE_VOTE_AND_ANSWER = auto()
    IGNORE = auto()
    END_BY_ERROR = auto()


_ALWAYS = {MessageType.SERVER_ERROR: Reaction.END_BY_ERROR}
_AFTER_INIT = {
    **_ALWAYS,
    MessageType.ECHO_REPLY: Reaction.TAKE_ECHO,
    MessageType.VOTE_INFO: Reaction.TAKE_VOTE_AND_ANSWER,
}

REACTIONS: Mapping[State, Mapping[MessageType, Reaction]] = {
    State.PREINIT_SENT: {**_ALWAYS, MessageType.PREINIT_REPLY: Reaction.CHOOSE_TLS},
    State.HANDSHAKE: {},  # every byte is TLS's
    State.INIT_SENT: {**_ALWAYS, MessageType.INIT_REPLY: Reaction.JOIN},
    State.JOINED: _AFTER_INIT,
    State.RUNNING: {
        **_AFTER_INIT,
        MessageType.SET_OPTION_REPLY: Reaction.IGNORE,
        MessageType.NODE_LIST_REPLY: Reaction.TAKE_VOTE,
        MessageType.ASK_FOR_VOTE_REPLY: Reaction.TAKE_VOTE,
        MessageType.HEURISTICS_CHANGE_REPLY: Reaction.TAKE_VOTE,
    },
    State.CLOSED: {},
}

MANDATORY: Mapping[MessageType, tuple[str, ...]] = {
    MessageType.PREINIT_REPLY: ("sequence_number", "tls_supported", "client_certificate_required"),
    MessageType.INIT_REPLY: ("sequence_number", "error_code"),
    MessageType.SERVER_ERROR: ("error_code",),
    MessageType.ECHO_REPLY: ("sequence_number",),
    MessageType.NODE_LIST_REPLY: ("sequence_number", "list_type", "ring_id", "vote"),
    MessageType.ASK_FOR_VOTE_REPLY: ("sequence_number", "vote", "ring_id"),
    MessageType.VOTE_INFO: ("sequence_number", "vote", "ring_id"),
    MessageType.HEURISTICS_CHANGE_REPLY: ("sequence_number", "vote", "ring_id", "heuristics"),
}
MANDATORY_WHEN_ACCEPTED = ("maximum_request_size", "maximum_reply_size", "supported_messages", "supported_options", "supported_algorithms")


class Cause(Enum):
    """Why a connection ended. END_OF_STREAM, TLS_FAILED and SEND_QUEUE_FULL are told by the caller."""

    END_OF_STREAM = auto()
    TLS_FAILED = auto()
    SEND_QUEUE_FULL = auto()
    CONNECT_TIMEOUT = auto()
    ECHO_UNANSWERED = auto()
    MESSAGE_TOO_LONG = auto()
    UNDECODABLE = auto()
    UNEXPECTED_MESSAGE = auto()
    INCOMPLETE_MESSAGE = auto()
    WRONG_NUMBER = auto()
    SERVER_ERROR = auto()
    TLS_INCOMPATIBLE = auto()
    REFUSED_FOR_NOW = auto()
    REFUSED = auto()
    UNACCEPTABLE = auto()
    REQUEST_TOO_LONG = auto()


class Follows(Enum):
    RECONNECT = auto()
    EXIT = auto()


FOLLOWS: Mapping[Cause, Follows] = {
    Cause.END_OF_STREAM: Follows.RECONNECT,
    Cause.TLS_FAILED: Follows.RECONNECT,
    Cause.SEND_QUEUE_FULL: Follows.EXIT,
    Cause.CONNECT_TIMEOUT: Follows.RECONNECT,
    Cause.ECHO_UNANSWERED: Follows.RECONNECT,
    Cause.MESSAGE_TOO_LONG: Follows.RECONNECT,
    Cause.UNDECODABLE: Follows.RECONNECT,
    Cause.UNEXPECTED_MESSAGE: Follows.EXIT,
    Cause.INCOMPLETE_MESSAGE: Follows.EXIT,
    Cause.WRONG_NUMBER: Follows.EXIT,
    Cause.SERVER_ERROR: Follows.EXIT,
    Cause.TLS_INCOMPATIBLE: Follows.EXIT,
    Cause.REFUSED_FOR_NOW: Follows.RECONNECT,
    Cause.REFUSED: Follows.EXIT,
    Cause.UNACCEPTABLE: Follows.EXIT,
    Cause.REQUEST_TOO_LONG: Follows.EXIT,
}
"""For every algorithm but lms, whose nodes always connect anew."""

PASSING_REFUSALS = frozenset({ReplyCode.TIE_BREAKER_DIFFERS, ReplyCode.ALGORITHM_DIFFERS, ReplyCode.DUPLICATE_NODE_ID})
