from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from thirdvote.config import ClusterSettings, Limits, Settings
from thirdvote.config_options import (
    BY_NAME,
    CLUSTER_OPTIONS,
    LIMIT_NAMES,
    OPTIONS,
    read_address,
    read_listen,
    read_place,
    read_secret,
    show_listen,
)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("5403", None, 5403),
        ("*:1", None, 1),
        ("192.0.2.1:65535", "192.0.2.1", 65_535),
        ("[2001:db8::1]:5403", "2001:db8::1", 5403),
        ("arbiter.example:99", "arbiter.example", 99),
    ],
)
def test_listen(text: str, host: str | None, port: int) -> None:
    assert read_listen(text) == (host, port)
    assert read_listen(show_listen((host, port))) == (host, port)


@pytest.mark.parametrize(
    "text", ["", "0", "65536", "x", ":5403", "192.0.2.1:", "::1:5403", "[192.0.2.1]:5403", "[::1]", "5403 ", "-1", "٣"]
)
def test_listen_that_is_not_one(text: str) -> None:
    with pytest.raises(ValueError, match="ADDR"):
        read_listen(text)


@pytest.mark.parametrize(
    ("text", "place"), [("2222", "*:2222"), ("OFF", "off"), ("[2001:db8::1]:22", "[2001:db8::1]:22"), ("*:22", "*:22")]
)
def test_a_place_or_none(text: str, place: str) -> None:
    assert read_place(text) == place


@pytest.mark.parametrize("text", ["", "no", "0", "::1:22"])
def test_a_place_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"off or .*ADDR"):
        read_place(text)


@pytest.mark.parametrize("text", ["", "x" * 11, "x" * 129, "with a newline\n", "with a \0 in it"])
def test_what_is_no_password(text: str) -> None:
    with pytest.raises(ValueError, match="a password of 12 to 128 characters"):
        read_secret(text)


@pytest.mark.parametrize("text", ["", "a b", "a/b", "$(reboot)", "x" * 254])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="an address or a host name"):
        read_address(text)
    assert read_address("2001:db8::1") == "2001:db8::1"


def test_every_option_has_a_field_and_help() -> None:
    names = {field.name for field in fields(Settings)}
    assert all(option.name == "listen" or option.field_name in names for option in OPTIONS)
    assert all(option.help and not option.help.endswith(".") for option in (*OPTIONS, *CLUSTER_OPTIONS))
    assert {option.field_name for option in CLUSTER_OPTIONS} == {field.name for field in fields(ClusterSettings)}


def test_the_page_on_configuration_has_every_setting_and_limit() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert [name for name in (*BY_NAME, *LIMIT_NAMES) if f"`{name}`" not in page] == []
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in page.splitlines() if line.startswith("| `")]
    shown = {name: text for names, texts in rows for name, text in zip(names.split(", "), _values(names, texts), strict=True)}
    wrong = {
        name: shown[f"`{name}`"]
        for name, field_name in LIMIT_NAMES.items()
        if shown[f"`{name}`"] != {"True": "on"}.get(text := str(getattr(Limits(), field_name)), text.removesuffix(".0"))
    }
    assert wrong == {}


def _values(names: str, texts: str) -> list[str]:
    """One value may stand for several names."""
    several = texts.split(", ")
    count = len(names.split(", "))
    return several if len(several) == count else [texts] * count


def test_the_page_on_configuration_has_what_a_cluster_can_have() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    below = page.partition("## Clusters")[2].partition("## Limits")[0]
    assert [option.name for option in CLUSTER_OPTIONS if f"| `{option.name}` |" not in below] == []
