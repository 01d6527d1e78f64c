"""How NSS keeps secrets in key4.db: encryption and signatures of single attributes, by a key made of the database's password.

Password-based encryption as in PKCS #5 v2 (RFC 8018): PBES2 with PBKDF2 over HMAC-SHA-256 and AES-256-CBC, and PBMAC1.
NSS feeds PBKDF2 with the SHA-1 of the database's salt and the password, and its initialisation vector is the whole DER
encoding of an octet string of 14 bytes. Databases of NSS before 3.49 have PKCS #12's scheme with triple DES instead.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from thirdvote.pki.compatible import TripleDES

SALT_BYTES = 20
CHECK = b"password-check"
"""What is encrypted to see later whether a password is the right one."""

ITERATIONS_WITHOUT_PASSWORD = 1
"""NSS saves itself the work when the password is empty: there is nothing to guess."""
ITERATIONS_MAX = 10_000_000
"""NSS does 10,000; more than a thousand times that is damage, which must not keep a start for hours."""

SEQUENCE, INTEGER, OCTET_STRING, OBJECT_IDENTIFIER = 0x30, 0x02, 0x04, 0x06

PBKDF2 = bytes.fromhex("2a864886f70d01050c")
PBES2 = bytes.fromhex("2a864886f70d01050d")
PBMAC1 = bytes.fromhex("2a864886f70d01050e")
HMAC_SHA256 = bytes.fromhex("2a864886f70d0209")
AES256_CBC = bytes.fromhex("60864801650304012a")
PKCS12_SHA1_TRIPLE_DES = bytes.fromhex("2a864886f70d010c050103")

_VECTOR_HEADER = bytes((OCTET_STRING, 14))


class Damaged(ValueError):
    """The bytes are not what NSS writes."""


def encode(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def encode_integer(value: int) -> bytes:
    """Not negative."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def decode(data: bytes, tag: int) -> bytes:
    """The content of `data`, which is one value of that kind and nothing after it. Damaged."""
    (found, content), *rest = _values(data)
    if found != tag or rest:
        raise Damaged(f"tag {found:#x} instead of {tag:#x}")
    return content


def decode_sequence(data: bytes, *tags: int) -> list[bytes]:
    """The contents of a sequence's members, the first of which are of the kinds `tags`; the rest is left out. Damaged."""
    members = _values(decode(data, SEQUENCE))
    if [tag for tag, _ in members[: len(tags)]] != list(tags):
        raise Damaged("a sequence of other members")
    return [content for _, content in members[: len(tags)]]


def _values(data: bytes) -> list[tuple[int, bytes]]:
    values = []
    while data:
        if len(data) < 2:
            raise Damaged("cut off")
        tag, length, start = data[0], data[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start], "big")
        if start + length > len(data):
            raise Damaged("cut off")
        values.append((tag, data[start : start + length]))
        data = data[start + length :]
    if not values:
        raise Damaged("empty")
    return values


@dataclass(frozen=True)
class Secret:
    """Encrypts, decrypts and signs with what a database's salt and password make."""

    salt: bytes
    password: bytes = b""

    def encrypt(self, plain: bytes) -> bytes:
        key_derivation, key = self._derive_new()
        vector = secrets.token_bytes(14)
        padder = PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(_VECTOR_HEADER + vector)).encryptor()
        cipher = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
        scheme = encode(SEQUENCE, encode(OBJECT_IDENTIFIER, AES256_CBC), encode(OCTET_STRING, vector))
        algorithm = encode(SEQUENCE, encode(OBJECT_IDENTIFIER, PBES2), encode(SEQUENCE, key_derivation, scheme))
        return encode(SEQUENCE, algorithm, encode(OCTET_STRING, cipher))

    def decrypt(self, encrypted: bytes) -> bytes:
        """Damaged, also when the password is another one."""
        algorithm, cipher = decode_sequence(encrypted, SEQUENCE, OCTET_STRING)
        identifier, parameters = decode_sequence(encode(SEQUENCE, algorithm), OBJECT_IDENTIFIER, SEQUENCE)
        if identifier == PBES2:
            return self._decrypt_aes(parameters, cipher)
        if identifier == PKCS12_SHA1_TRIPLE_DES:
            return self._decrypt_triple_des(parameters, cipher)
        raise Damaged(f"encrypted by an unknown scheme {identifier.hex()}")

    def sign(self, object_id: int, attribute: int, plain: bytes) -> bytes:
        """Ties a value to its place; private attributes are signed for the place 0, because they are encrypted before they have one."""
        key_derivation, key = self._derive_new()
        signed = object_id.to_bytes(4, "big") + attribute.to_bytes(4, "big") + plain
        digest = hmac.digest(key, signed, "sha256")
        algorithm = encode(SEQUENCE, encode(OBJECT_IDENTIFIER, PBMAC1), encode(SEQUENCE, key_derivation, _HMAC_SHA256_ALGORITHM))
        return encode(SEQUENCE, algorithm, encode(OCTET_STRING, digest))

    def _derive_new(self) -> tuple[bytes, bytes]:
        salt = secrets.token_bytes(32)
        parameters = encode(
            SEQUENCE,
            encode(OCTET_STRING, salt),
            encode_integer(ITERATIONS_WITHOUT_PASSWORD),
            encode_integer(32),
            _HMAC_SHA256_ALGORITHM,
        )
        algorithm = encode(SEQUENCE, encode(OBJECT_IDENTIFIER, PBKDF2), parameters)
        return algorithm, self._derive(salt, ITERATIONS_WITHOUT_PASSWORD)

    def _derive(self, salt: bytes, iterations: int) -> bytes:
        return hashlib.pbkdf2_hmac("sha256", self._master(), salt, iterations, 32)

    def _master(self) -> bytes:
        return hashlib.sha1(self.salt + self.password, usedforsecurity=False).digest()

    def _decrypt_aes(self, parameters: bytes, cipher: bytes) -> bytes:
        derivation, scheme = decode_sequence(encode(SEQUENCE, parameters), SEQUENCE, SEQUENCE)
        identifier, derived_from = decode_sequence(encode(SEQUENCE, derivation), OBJECT_IDENTIFIER, SEQUENCE)
        salt, iterations, _, pseudorandom = decode_sequence(encode(SEQUENCE, derived_from), OCTET_STRING, INTEGER, INTEGER, SEQUENCE)
        (function,) = decode_sequence(encode(SEQUENCE, pseudorandom), OBJECT_IDENTIFIER)
        cipher_identifier, vector = decode_sequence(encode(SEQUENCE, scheme), OBJECT_IDENTIFIER, OCTET_STRING)
        if (identifier, function, cipher_identifier) != (PBKDF2, HMAC_SHA256, AES256_CBC):
            raise Damaged("encrypted by an unknown cipher")
        key = self._derive(salt, _iterations(iterations))
        if len(vector) == 14:
            vector = _VECTOR_HEADER + vector
        return _decrypt(algorithms.AES(key), vector, cipher)

    def _decrypt_triple_des(self, parameters: bytes, cipher: bytes) -> bytes:
        """NSS' own variant of PKCS #12's key derivation, one round of it whatever the iterations say."""
        salt, _ = decode_sequence(encode(SEQUENCE, parameters), OCTET_STRING, INTEGER)
        inner = hashlib.sha1(self._master() + salt, usedforsecurity=False).digest()
        padded = salt.ljust(20, b"\0")
        first = hmac.digest(inner, padded + salt, "sha1")
        second = hmac.digest(inner, hmac.digest(inner, padded, "sha1") + salt, "sha1")
        material = first + second
        return _decrypt(TripleDES(material[:24]), material[-8:], cipher)


_HMAC_SHA256_ALGORITHM = encode(SEQUENCE, encode(OBJECT_IDENTIFIER, HMAC_SHA256))


def _iterations(content: bytes) -> int:
    iterations = int.from_bytes(content, "big")
    if not 0 < iterations <= ITERATIONS_MAX:
        raise Damaged(f"{iterations} iterations")
    return iterations


def _decrypt(algorithm: algorithms.AES | TripleDES, vector: bytes, cipher: bytes) -> bytes:
    try:
        decryptor = Cipher(algorithm, modes.CBC(vector)).decryptor()
        padded = decryptor.update(cipher) + decryptor.finalize()
        unpadder = PKCS7(algorithm.block_size).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise Damaged("the password is another one, or the data is damaged") from None
