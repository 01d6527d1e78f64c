from __future__ import annotations

from pathlib import Path

import pytest

from thirdvote import container

MOUNTS = """\
21 1 0:20 / / ro,relatime - overlay overlay rw
40 21 8:1 /srv/third\\040vote /var/lib/thirdvote rw,relatime - ext4 /dev/sda1 rw
"""


@pytest.mark.parametrize(("value", "is_one"), [("oci", True), ("podman", True), ("lxc", False), ("", False)])
def test_the_variable_tells(monkeypatch: pytest.MonkeyPatch, value: str, is_one: bool) -> None:
    monkeypatch.setenv("container", value)
    assert container.is_container() is is_one


def test_elsewhere_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("container", raising=False)
    assert not container.is_container()


def test_where_a_folder_comes_from(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert container.mounted_from(Path("/var/lib/thirdvote"), tmp_path / "mountinfo") == "/srv/third vote"
    assert container.mounted_from(Path("/var/lib"), tmp_path / "mountinfo") is None
    assert container.mounted_from(Path("/var/lib"), tmp_path / "nothing") is None
