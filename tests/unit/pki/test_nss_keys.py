from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.certificates import curve_key, rsa_key
from thirdvote.errors import UserError
from thirdvote.pki import nss_keys
from thirdvote.pki.issue import AuthorityKey
from thirdvote.pki.nss_objects import Attribute


@pytest.mark.parametrize("key", [curve_key(), rsa_key()], ids=["curve", "rsa"])
def test_no_secret_is_in_what_is_not_encrypted(key: AuthorityKey) -> None:
    secrets = nss_keys.secrets(key)
    for half in (nss_keys.public_half(key), nss_keys.private_half(key)):
        assert half.keys().isdisjoint(secrets.keys())
        assert not set(half.values()) & set(secrets.values())


def test_numbers_have_no_zeros_in_front() -> None:
    key = rsa_key()
    assert len(nss_keys.public_value(key)) == 256
    assert nss_keys.public_half(key)[Attribute.PUBLIC_EXPONENT] == b"\x01\x00\x01"


def test_other_curves_are_said() -> None:
    nss_keys.check(curve_key())
    nss_keys.check(rsa_key())
    with pytest.raises(UserError, match="secp384r1"):
        nss_keys.check(curve_key(ec.SECP384R1()))
