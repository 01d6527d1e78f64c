from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from thirdvote.backup import sealed
from thirdvote.backup.sealed import MAGIC, PIECE, Sealer, WrongPassphrase, pieces
from thirdvote.errors import UserError


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sealed.COST, "n", 2)


def sealed_of(plain: bytes, step: int = 50_000) -> bytes:
    target = io.BytesIO()
    sealer = Sealer(target, "correct horse")
    for start in range(0, len(plain), step):
        sealer.write(plain[start : start + step])
    sealer.close()
    return target.getvalue()


def opened(data: bytes, passphrase: str = "correct horse") -> bytes:
    source = io.BytesIO(data)
    assert source.read(len(MAGIC)) == MAGIC
    return b"".join(pieces(source, passphrase))


@pytest.mark.parametrize("length", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 200_000])
def test_what_goes_in_comes_out(length: int) -> None:
    plain = bytes(number % 251 for number in range(length))
    assert opened(sealed_of(plain)) == plain


def test_nothing_of_it_is_to_be_seen() -> None:
    assert b"secret" not in sealed_of(b"secret" * 100)


def test_another_passphrase() -> None:
    with pytest.raises(WrongPassphrase, match="the passphrase is wrong, or the backup is damaged"):
        opened(sealed_of(b"x" * 100), "wrong horse")


def damaged() -> Iterator[tuple[str, bytes]]:
    whole = sealed_of(b"x" * (3 * PIECE))
    head = whole.index(b"\n", len(MAGIC)) + 1
    piece = PIECE + sealed.TAG + 4
    yield "cut within a piece", whole[:-10]
    yield "cut between pieces", whole[: head + 2 * piece]
    yield "cut behind the head", whole[:head]
    yield "a piece left out", whole[: head + piece] + whole[head + 2 * piece :]
    yield "pieces exchanged", whole[:head] + whole[head + piece : head + 2 * piece] + whole[head : head + piece] + whole[head + 2 * piece :]
    yield "something behind the end", whole + b"\0\0\0\x14" + bytes(20)
    yield "a bit of the last piece", whole[:-1] + bytes((whole[-1] ^ 1,))
    yield "a length of its own", whole[:head] + b"\xff\xff\xff\xff" + whole[head + 4 :]
    yield "no parameters", MAGIC + b"{}\n" + whole[head:]
    yield "parameters without an end", MAGIC + b"{" * 10_000
    yield "parameters that take all memory", whole.replace(b'"n": 65536', b'"n": 1073741824')


@pytest.mark.parametrize(("what", "data"), list(damaged()), ids=[what for what, _ in damaged()])
def test_whatever_is_damaged_is_noticed(what: str, data: bytes) -> None:
    with pytest.raises(UserError) as refused:
        opened(data)
    assert refused.value.hint
