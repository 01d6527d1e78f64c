from __future__ import annotations

import pytest

from thirdvote import join_url
from thirdvote.errors import UserError
from thirdvote.join_url import JoinUrl, Token

TOKEN = Token(bytes(range(8)), bytes(range(16)), bytes(range(32)))


@pytest.mark.parametrize("host", ["arbitrator", "arbitrator.example.org", "10.0.0.9", "fd00::9", "fe80::1%eth0"])
def test_what_is_printed_is_read(host: str) -> None:
    url = JoinUrl(host, 5443, TOKEN)
    assert join_url.parse(url.text) == url
    assert join_url.parse(f" {url.text}/\n") == url


def test_the_port_may_be_left_out() -> None:
    assert join_url.parse(f"https://arbitrator/{TOKEN.text}").port == 5443


def test_a_token_needs_no_quoting_and_has_no_padding() -> None:
    assert len(TOKEN.text) == join_url.TEXT_LENGTH
    assert TOKEN.text.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "arbitrator",
        f"http://arbitrator/{TOKEN.text}",
        f"https://user@arbitrator/{TOKEN.text}",
        f"https:///{TOKEN.text}",
        f"https://arbitrator:0/{TOKEN.text}",
        f"https://arbitrator:65536/{TOKEN.text}",
        f"https://arbitrator/x/{TOKEN.text}",
        f"https://arbitrator/{TOKEN.text}?x",
        f"https://arbitrator/{TOKEN.text[:-1]}",
        f"https://arbitrator/{TOKEN.text}A",
        "https://arbitrator/" + "A" * join_url.TEXT_LENGTH,
        "https://arbitrator/" + "-" * join_url.TEXT_LENGTH,
        f"https://{'a' * 600}/{TOKEN.text}",
        f"https://arbi\u0442rator\n/{TOKEN.text}",
    ],
)
def test_anything_else_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(UserError) as refused:
        join_url.parse(text)
    assert "thirdvote enroll token" in (refused.value.hint or "")


@pytest.mark.parametrize("text", ["é" * join_url.TEXT_LENGTH, "A" * 3, " " * join_url.TEXT_LENGTH])
def test_texts_that_are_no_token(text: str) -> None:
    with pytest.raises(UserError, match="no token"):
        join_url.parse_token(text)
