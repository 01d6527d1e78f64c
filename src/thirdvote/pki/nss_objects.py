"""PKCS #11 objects in the SQL databases of NSS, cert9.db and key4.db: which column is what, and how values are written."""

from __future__ import annotations

from enum import IntEnum

CERTIFICATES_FILE = "cert9.db"
KEYS_FILE = "key4.db"
MODULES_FILE = "pkcs11.txt"
CERTIFICATES_TABLE = "nssPublic"
KEYS_TABLE = "nssPrivate"
OLD_CERTIFICATES_FILE = "cert8.db"
"""Berkeley DB, which NSS made before it turned to SQL."""

EMPTY = bytes.fromhex("a5005a")
"""An attribute that is there and empty; NULL is one that is not there."""


class Attribute(IntEnum):
    """The column of an attribute is called `a` and its number in hexadecimal."""

    CLASS = 0x0
    TOKEN = 0x1
    PRIVATE = 0x2
    LABEL = 0x3
    VALUE = 0x11
    CERTIFICATE_TYPE = 0x80
    ISSUER = 0x81
    SERIAL_NUMBER = 0x82
    KEY_TYPE = 0x100
    SUBJECT = 0x101
    ID = 0x102
    SENSITIVE = 0x103
    ENCRYPT = 0x104
    DECRYPT = 0x105
    WRAP = 0x106
    UNWRAP = 0x107
    SIGN = 0x108
    SIGN_RECOVER = 0x109
    VERIFY = 0x10A
    VERIFY_RECOVER = 0x10B
    DERIVE = 0x10C
    START_DATE = 0x110
    END_DATE = 0x111
    MODULUS = 0x120
    PUBLIC_EXPONENT = 0x122
    PRIVATE_EXPONENT = 0x123
    PRIME_1 = 0x124
    PRIME_2 = 0x125
    EXPONENT_1 = 0x126
    EXPONENT_2 = 0x127
    COEFFICIENT = 0x128
    EXTRACTABLE = 0x162
    LOCAL = 0x163
    NEVER_EXTRACTABLE = 0x164
    ALWAYS_SENSITIVE = 0x165
    MODIFIABLE = 0x170
    EC_PARAMS = 0x180
    EC_POINT = 0x181
    TRUST_SERVER_AUTH = 0xCE536358
    TRUST_CLIENT_AUTH = 0xCE536359
    TRUST_CODE_SIGNING = 0xCE53635A
    TRUST_EMAIL_PROTECTION = 0xCE53635B
    TRUST_STEP_UP_APPROVED = 0xCE536360
    CERTIFICATE_SHA1 = 0xCE5363B4
    CERTIFICATE_MD5 = 0xCE5363B5
    PUBLIC_VALUE = 0xD5A0DB00

    @property
    def column(self) -> str:
        return f"a{self.value:x}"


class ObjectClass(IntEnum):
    CERTIFICATE = 1
    PUBLIC_KEY = 2
    PRIVATE_KEY = 3
    TRUST = 0xCE534353


class KeyType(IntEnum):
    RSA = 0
    EC = 3


class Trust(IntEnum):
    AUTHORITY = 0xCE534352
    """Whoever it signed is trusted."""
    MUST_VERIFY = 0xCE534353


def integer(value: int) -> bytes:
    return value.to_bytes(4, "big")


def boolean(value: bool) -> bytes:
    return bytes((value,))


_COLUMNS = """
0 1 2 3 10 11 12 80 81 82 83 84 85 86 87 88 89 8a 8b 90 100 101 102 103 104 105 106 107 108 109 10a 10b 10c 110 111 120 121 122 123 124
125 126 127 128 129 130 131 132 133 134 160 161 162 163 164 165 166 170 180 181 200 201 202 210 300 301 302 400 401 402 403 404 405 406
480 481 482 500 501 502 503 40000211 40000212 80000001 ce534351 ce534352 ce534353 ce534354 ce534355 ce534356 ce534357 ce534358 ce534364
ce534365 ce534366 ce534367 ce534368 ce534369 ce534373 ce534374 ce536351 ce536352 ce536353 ce536354 ce536355 ce536356 ce536357 ce536358
ce536359 ce53635a ce53635b ce53635c ce53635d ce53635e ce53635f ce536360 ce5363b4 ce5363b5 d5a0db00
"""
COLUMNS = tuple(f"a{number}" for number in _COLUMNS.split())
"""All that NSS asks for, used or not. A newer NSS adds its own when it opens the database."""

INDEXES = {"issuer": Attribute.ISSUER, "subject": Attribute.SUBJECT, "label": Attribute.LABEL, "ckaid": Attribute.ID}
