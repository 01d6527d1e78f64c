"""What the files of each way of installing say of ports, the data's place and the user is what the program and the image have."""

from __future__ import annotations

import re

import pytest

from tests.style.tree import ROOT
from thirdvote.config import DATA_OF_ROOT, ENROLL_HTTPS_PORT, ENROLL_SSH_PORT, VOTE_PORT

PORTS = {VOTE_PORT, ENROLL_SSH_PORT, ENROLL_HTTPS_PORT}
USER = "5403"

PLACES = {
    "compose.yaml": "{port}:{port}",
    "packaging/container/Containerfile": "{port}/tcp",
    "packaging/podman/thirdvote.container": "PublishPort={port}:{port}",
    "packaging/kubernetes/thirdvote.yaml": "port: {port},",
    "packaging/home-assistant/config.yaml": "{port}/tcp: {port}",
}


@pytest.mark.parametrize("place", PLACES)
def test_all_three_ports_are_published_under_their_own_numbers(place: str) -> None:
    text = (ROOT / place).read_text(encoding="utf-8")
    assert {port for port in PORTS if PLACES[place].format(port=port) in text} == PORTS


@pytest.mark.parametrize("place", [place for place in PLACES if "home-assistant" not in place])
def test_the_volume_is_where_the_data_is(place: str) -> None:
    text = (ROOT / place).read_text(encoding="utf-8")
    assert re.search(rf"{DATA_OF_ROOT}\b", text)


def test_everybody_means_the_same_user() -> None:
    containerfile = (ROOT / "packaging/container/Containerfile").read_text(encoding="utf-8")
    kubernetes = (ROOT / "packaging/kubernetes/thirdvote.yaml").read_text(encoding="utf-8")
    assert f"USER {USER}:{USER}" in containerfile
    assert {line.split()[-1] for line in kubernetes.splitlines() if re.search(r"(runAsUser|runAsGroup|fsGroup):", line)} == {USER}
    assert f"-o {USER} -g {USER}" in (ROOT / "docs/install/docker.md").read_text(encoding="utf-8")


def test_what_home_assistant_builds_is_the_same_image_for_its_folder() -> None:
    """By the command of its page: as root, and with its data in /data."""
    containerfile = (ROOT / "packaging/container/Containerfile").read_text(encoding="utf-8")
    assert "sed '/^USER /d; s#/var/lib/thirdvote#/data#g'" in (ROOT / "docs/install/home-assistant.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^USER ", containerfile, re.MULTILINE)) == 1
    assert f"THIRDVOTE_DATA={DATA_OF_ROOT}" in containerfile
