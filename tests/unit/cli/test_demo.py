from __future__ import annotations

from pathlib import Path

import pytest

from thirdvote.cli.demo import address, certified, scene_rows
from thirdvote.cli.demo_story import Line, Scene
from thirdvote.errors import UserError
from thirdvote.pki import inventory, store


@pytest.mark.parametrize(
    ("listen", "where"),
    [
        ("port 5403", ("127.0.0.1", 5403)),
        ("[::]:5403", ("::1", 5403)),
        ("0.0.0.0:5403", ("127.0.0.1", 5403)),
        ("192.0.2.1:99", ("192.0.2.1", 99)),
        ("[2001:db8::1]:99", ("2001:db8::1", 99)),
    ],
)
def test_the_nodes_go_where_the_arbitrator_listens(listen: str, where: tuple[str, int]) -> None:
    assert address(listen) == where


def test_a_row_says_who_has_the_vote_and_what_comes_of_it() -> None:
    lines = (
        Line(1, True, "its half has it", 2, True),
        Line(2, False, "the other half has it", 1, False),
        Line(3, None, "it is off", 0, False),
    )
    words = [[piece if isinstance(piece, str) else piece[0] for piece in row] for row in scene_rows(Scene("", lines[:2], ""))]
    assert words == [
        ["node 1", "vote", "2 of 3 votes: goes on", "its half has it"],
        ["node 2", "no vote", "1 of 3 votes: stops", "the other half has it"],
    ]


def test_a_node_without_power_has_a_row_without_a_vote() -> None:
    assert scene_rows(Scene("", (Line(1, None, "it is off", 0, False),), "")) == [["node 1", ("off", "dim"), "", ""]]


def test_the_certificate_is_the_authoritys_and_no_file_of_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, temporary = tmp_path / "data", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    data.mkdir()
    store.ensure(data)
    before = list(data.rglob("*"))
    assert certified(data, "demo-test").cert_store_stats()["x509_ca"] == 1
    assert list(temporary.iterdir()) == []
    assert sorted(data.rglob("*")) == sorted([*before, data / "pki" / "inventory.db"])
    assert [each.way for each in inventory.every(data / "pki")] == ["demo"]


def test_without_an_authority_there_is_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        certified(tmp_path, "demo-test")
    assert caught.value.hint
