from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thirdvote.pki import nss_format
from thirdvote.pki.nss_format import OCTET_STRING, SEQUENCE, Damaged, Secret

SALT = bytes(range(20))

WRITTEN_BY_NSS = (
    bytes.fromhex("b4e33d9754fd9b4e76c73911dbce645d87d3639b"),
    bytes.fromhex(
        "308181306d06092a864886f70d01050d3060304106092a864886f70d01050c30340420775f1d2ee2ee00d4439686fbc97cfd95a6a5c48cb2b7eb0481abfacf"
        "4592f7a9020101020120300a06082a864886f70d0209301b060960864801650304012a040e619bd75f2d40b4ce3be1e221a54b04102bb8deb696cc5fdfcea1"
        "cfce714f1069"
    ),
)
"""Salt and password check of a database that certutil of NSS 3.87 made."""


def test_what_nss_encrypted() -> None:
    salt, check = WRITTEN_BY_NSS
    assert Secret(salt).decrypt(check) == nss_format.CHECK


def test_another_password() -> None:
    salt, check = WRITTEN_BY_NSS
    with pytest.raises(Damaged, match="the password is another one"):
        Secret(salt, b"guess").decrypt(check)


@given(st.binary(max_size=500), st.binary(max_size=20))
def test_what_is_encrypted_comes_back_and_never_looks_the_same(plain: bytes, password: bytes) -> None:
    secret = Secret(SALT, password)
    first, second = secret.encrypt(plain), secret.encrypt(plain)
    assert first != second
    assert secret.decrypt(first) == secret.decrypt(second) == plain


def test_a_signature_is_for_one_value_in_one_place() -> None:
    secret = Secret(SALT)

    def digest(signature: bytes) -> bytes:
        return nss_format.decode_sequence(signature, SEQUENCE, OCTET_STRING)[1]

    assert len(digest(secret.sign(7, 0x11, b"value"))) == hashlib.sha256().digest_size
    assert digest(secret.sign(7, 0x11, b"value")) != digest(secret.sign(7, 0x11, b"value"))  # salted


@given(st.binary(max_size=200))
def test_any_bytes_are_damage(data: bytes) -> None:
    with pytest.raises(Damaged):
        Secret(SALT).decrypt(data)


@settings(max_examples=300)
@given(st.data())
def test_a_changed_byte_is_damage_or_another_text_and_no_other_error(data: st.DataObject) -> None:
    salt, check = WRITTEN_BY_NSS
    damaged = bytearray(check)
    damaged[data.draw(st.integers(0, len(check) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        Secret(salt).decrypt(bytes(damaged))
    except Damaged as error:
        assert str(error)  # noqa: PT017  # either is right; nothing else may be raised


def test_iterations_are_bounded() -> None:
    salt, check = WRITTEN_BY_NSS
    with pytest.raises(Damaged, match="2147483648 iterations"):
        Secret(salt).decrypt(_endless(check))


def _endless(check: bytes) -> bytes:
    """The same with 2**31 iterations, all lengths right."""
    algorithm, cipher = nss_format.decode_sequence(check, SEQUENCE, OCTET_STRING)
    identifier, parameters = nss_format.decode_sequence(nss_format.encode(SEQUENCE, algorithm), nss_format.OBJECT_IDENTIFIER, SEQUENCE)
    derivation, scheme = nss_format.decode_sequence(nss_format.encode(SEQUENCE, parameters), SEQUENCE, SEQUENCE)
    grown = derivation.replace(bytes.fromhex("020101020120"), nss_format.encode_integer(1 << 31) + bytes.fromhex("020120"))
    start = grown.index(b"\x30")
    inner = nss_format.encode(SEQUENCE, grown[start + 2 :])
    derivation = nss_format.encode(SEQUENCE, grown[:start], inner)
    parameters = nss_format.encode(SEQUENCE, derivation, nss_format.encode(SEQUENCE, scheme))
    algorithm = nss_format.encode(SEQUENCE, nss_format.encode(nss_format.OBJECT_IDENTIFIER, identifier), parameters)
    return nss_format.encode(SEQUENCE, algorithm, nss_format.encode(OCTET_STRING, cipher))


@given(st.integers(0, 1 << 200))
def test_integers_are_positive(value: int) -> None:
    content = nss_format.decode(nss_format.encode_integer(value), nss_format.INTEGER)
    assert int.from_bytes(content, "big", signed=True) == value


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65_536])
def test_lengths(length: int) -> None:
    assert nss_format.decode(nss_format.encode(OCTET_STRING, bytes(length)), OCTET_STRING) == bytes(length)
