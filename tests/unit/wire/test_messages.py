from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import get_args

import pytest

from thirdvote.wire.messages import ClientMessage, Message, MessageType, OptionType, Preinit, ServerMessage


def test_each_message_has_one_dataclass_and_one_sender() -> None:
    assert sorted(kind.type for kind in get_args(Message)) == list(MessageType)
    assert not set(get_args(ClientMessage)) & set(get_args(ServerMessage))
    assert {*get_args(ClientMessage), *get_args(ServerMessage)} == set(get_args(Message))


def test_numbers_are_those_that_both_sides_announce() -> None:
    assert [int(kind) for kind in MessageType] == list(range(18))
    assert [int(option) for option in OptionType] == list(range(24))


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Preinit().sequence_number = 1  # type: ignore[misc]
