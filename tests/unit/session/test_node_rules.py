"""The tables are whole, and say what the stock client does."""

from __future__ import annotations

import pytest

from thirdvote.domain import TlsSupport
from thirdvote.session.node_rules import FOLLOWS, MANDATORY, REACTIONS, TLS_CHOICE, Cause, Follows, State, TlsChoice, TlsWish
from thirdvote.wire.messages import MessageType
from thirdvote.wire.schema import MESSAGES

FROM_CLIENTS = {
    MessageType.PREINIT,
    MessageType.STARTTLS,
    MessageType.INIT,
    MessageType.SET_OPTION,
    MessageType.ECHO_REQUEST,
    MessageType.NODE_LIST,
    MessageType.ASK_FOR_VOTE,
    MessageType.VOTE_INFO_REPLY,
    MessageType.HEURISTICS_CHANGE,
}


def test_every_state_has_its_reactions() -> None:
    assert set(REACTIONS) == set(State)


def test_no_state_expects_what_only_a_node_sends() -> None:
    for reactions in REACTIONS.values():
        assert not FROM_CLIENTS & set(reactions)


def test_every_message_of_an_arbitrator_is_expected_somewhere() -> None:
    expected = set().union(*(reactions for reactions in REACTIONS.values()))
    assert expected == set(MessageType) - FROM_CLIENTS


def test_mandatory_fields_are_fields_of_the_message() -> None:
    for kind, names in MANDATORY.items():
        assert set(names) <= {name for _, name in MESSAGES[kind].fields}


@pytest.mark.parametrize(
    ("wish", "unsupported", "supported", "required"),
    [
        (TlsWish.OFF, TlsChoice.PLAIN, TlsChoice.PLAIN, TlsChoice.INCOMPATIBLE),
        (TlsWish.ON, TlsChoice.PLAIN, TlsChoice.TLS, TlsChoice.TLS),
        (TlsWish.REQUIRED, TlsChoice.INCOMPATIBLE, TlsChoice.TLS, TlsChoice.TLS),
    ],
)
def test_tls_is_chosen_as_by_the_stock_client(wish: TlsWish, unsupported: TlsChoice, supported: TlsChoice, required: TlsChoice) -> None:
    assert TLS_CHOICE[wish] == {
        TlsSupport.UNSUPPORTED: unsupported,
        TlsSupport.SUPPORTED: supported,
        TlsSupport.REQUIRED: required,
    }


def test_every_cause_says_what_follows() -> None:
    assert set(FOLLOWS) == set(Cause)


def test_the_stock_client_connects_anew_after_these_and_exits_after_all_others() -> None:
    assert {cause for cause, follows in FOLLOWS.items() if follows is Follows.RECONNECT} == {
        Cause.END_OF_STREAM,
        Cause.TLS_FAILED,
        Cause.CONNECT_TIMEOUT,
        Cause.ECHO_UNANSWERED,
        Cause.MESSAGE_TOO_LONG,
        Cause.UNDECODABLE,
        Cause.REFUSED_FOR_NOW,
    }
