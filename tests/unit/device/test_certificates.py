from __future__ import annotations

from pathlib import Path

import pytest

from tests.corosync_confs import PROXMOX
from tests.nodes_here import FolderHost, nodes_here
from thirdvote.device import certificates
from thirdvote.errors import UserError


@pytest.fixture
def host(tmp_path: Path) -> FolderHost:
    return nodes_here(tmp_path, PROXMOX).hosts[0]


def test_from_the_authority_to_the_key(host: FolderHost) -> None:
    assert not certificates.has_database(host)
    certificates.trust(host, "authority\n")
    assert certificates.has_database(host)
    assert certificates.make_request(host, "office") == b"request for office\n"
    assert certificates.take(host, "certificate\n") == b"certificate\n"
    assert certificates.write_key(host)
    assert sorted(path.name for path in host.path(certificates.FOLDER).iterdir()) == ["ca.crt", "cluster.crt", "cluster.key"]


def test_on_the_other_nodes(host: FolderHost) -> None:
    certificates.trust(host, "authority\n")
    certificates.take_bundle(host, b"bundle", "certificate\n")
    assert host.path(certificates.BUNDLE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("before", [None, "old"])
def test_what_was_there_comes_back(host: FolderHost, before: str | None) -> None:
    if before:
        certificates.trust(host, before)
    files = host.files
    for _ in range(2):  # an undo that is repeated does no harm before the next beginning
        certificates.set_aside(host)
        certificates.trust(host, "new")
        certificates.bring_back(host)
        assert host.files == files


def test_nothing_is_left_when_it_is_forgotten(host: FolderHost) -> None:
    files = host.files
    certificates.trust(host, "older")
    certificates.set_aside(host)
    certificates.trust(host, "newer")
    certificates.forget(host)
    assert host.files == files


def test_a_tool_that_fails_and_says_nothing_is_seen(host: FolderHost) -> None:
    """It ends with 0 whatever happens."""
    certificates.trust(host, "authority\n")
    tool = Path(host.folder_of_programs) / certificates.TOOL
    tool.write_text("#!/bin/sh\necho 'certutil: unable to generate key'\n")
    with pytest.raises(UserError, match="made no request: certutil: unable to generate key"):
        certificates.make_request(host, "office")
    with pytest.raises(UserError, match="did not take the certificate"):
        certificates.take(host, "certificate\n")
    with pytest.raises(UserError, match="n1: certutil failed"):
        certificates.take_bundle(host, b"bundle", "certificate\n")


@pytest.mark.parametrize("name", ["office", "Büro 2", "a.b-c_d"])
def test_names_that_the_stock_tool_takes(name: str) -> None:
    certificates.check_tool_takes(name)


@pytest.mark.parametrize("name", ["a,b", "a=b", "a+b", 'a"b', "a\\b", "#a", "a;b", "<a>"])
def test_names_that_it_breaks(name: str) -> None:
    with pytest.raises(UserError, match="makes no request for a name with"):
        certificates.check_tool_takes(name)
