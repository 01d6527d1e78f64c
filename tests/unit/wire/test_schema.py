from __future__ import annotations

from dataclasses import fields

import pytest

from thirdvote.wire.messages import EchoReply, EchoRequest, MessageType
from thirdvote.wire.options import OPTIONS
from thirdvote.wire.schema import MESSAGES, MessageSchema


def test_every_message_of_the_protocol_is_in_the_table() -> None:
    assert list(MESSAGES) == list(MessageType)


@pytest.mark.parametrize("schema", MESSAGES.values(), ids=lambda schema: schema.kind.__name__)
def test_every_field_of_the_dataclass_has_one_option(schema: MessageSchema) -> None:
    beside_options = {"body"} if schema.kind in (EchoRequest, EchoReply) else set()
    names = [name for _, name in schema.fields]
    assert len(names) == len(set(names))
    assert set(names) == {field.name for field in fields(schema.kind)} - beside_options


@pytest.mark.parametrize("schema", MESSAGES.values(), ids=lambda schema: schema.kind.__name__)
def test_an_option_stands_once_in_a_message_and_is_known(schema: MessageSchema) -> None:
    options = [option for option, _ in schema.fields]
    assert len(options) == len(set(options))
    assert set(options) <= set(OPTIONS)
