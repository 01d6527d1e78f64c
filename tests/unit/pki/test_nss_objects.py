from thirdvote.pki import nss_objects
from thirdvote.pki.nss_objects import Attribute


def test_every_attribute_has_a_column() -> None:
    assert {attribute.column for attribute in Attribute} <= set(nss_objects.COLUMNS)
    assert len(set(nss_objects.COLUMNS)) == len(nss_objects.COLUMNS) == 119


def test_values_are_as_wide_as_nss_writes_them() -> None:
    assert nss_objects.integer(nss_objects.Trust.AUTHORITY) == bytes.fromhex("ce534352")
    assert nss_objects.boolean(True) == b"\x01"
