from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import request
from tests.corosync_confs import PROXMOX
from tests.https_here import https_here
from tests.nodes_here import NodesHere, nodes_here
from thirdvote.cli.setup import LocalEnrolment, setup
from thirdvote.errors import UsageError, UserError
from thirdvote.pki import inventory, material, paths, store

NODES = ("10.0.0.1", "10.0.0.2")


@pytest.fixture
def here(tmp_path: Path) -> NodesHere:
    (tmp_path / "nodes").mkdir()
    return nodes_here(tmp_path / "nodes", PROXMOX)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Requests are real, the certificates' tool on the nodes is not: what it makes is taken for the name's."""
    store.ensure(tmp_path / "data")
    return tmp_path / "data"


def run(here: NodesHere, *arguments: object) -> None:
    setup.main([*map(str, arguments), "--ssh", here.ssh], standalone_mode=False)


def real_request(here: NodesHere) -> None:
    """The tool that stands for the stock one makes a request that is none; a real one is put in its place."""
    tool = here.folder / "programs" / "corosync-qdevice-net-certutil"
    (here.folder / "request").write_bytes(request("office"))
    tool.write_text(tool.read_text().replace('echo "request for $3" >', 'cat "$ALL/request" >'))


def test_by_a_token(here: NodesHere, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real_request(here)
    with https_here(data) as service:
        run(here, *NODES, "--token", service.token().text, "--timeout", 3_000)
    out = capsys.readouterr().out
    assert "+    timeout: 3000" in out
    assert "10.0.0.2: takes certificate and key" in out
    assert out.endswith("done: the arbitrator at 127.0.0.1 has its vote in this cluster\n")
    assert "host: 127.0.0.1" in here.in_force
    assert [host.runs for host in here.hosts] == [True, True]


def test_on_the_arbitrators_host(here: NodesHere, data: Path) -> None:
    real_request(here)
    run(here, *NODES, "--arbitrator", "10.0.0.9", "--data", data)
    assert "host: 10.0.0.9" in here.in_force
    (entry,) = inventory.every(data / paths.FOLDER)
    assert (entry.cluster, entry.way) == ("office", "cli")


def test_a_dry_run_changes_nothing(here: NodesHere, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = [host.files for host in here.hosts]
    run(here, *NODES, "--arbitrator", "10.0.0.9", "--data", data, "--dry-run")
    out = capsys.readouterr().out
    assert "+      host: 10.0.0.9" in out
    assert "would do: the arbitrator signs it" in out
    assert "done" not in out
    assert [host.files for host in here.hosts] == before


def test_what_can_not_be_signed_is_undone(here: NodesHere, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = [host.files for host in here.hosts]
    with pytest.raises(UserError, match="no certificate request"):
        run(here, *NODES, "--arbitrator", "10.0.0.9", "--data", data)
    assert "undoing what was done" in capsys.readouterr().out
    assert [host.files for host in here.hosts] == before


def test_all_nodes_have_to_be_named(here: NodesHere, data: Path) -> None:
    with pytest.raises(UserError, match="more nodes than were named: pve2"):
        run(here, NODES[0], "--arbitrator", "10.0.0.9", "--data", data)
    with pytest.raises(UserError, match=r"10\.0\.0\.3 can not be reached over ssh: no route to 10\.0\.0\.3"):
        run(here, *NODES, "10.0.0.3", "--arbitrator", "10.0.0.9", "--data", data)


@pytest.mark.parametrize(
    "arguments", [(), ("--arbitrator", "a", "--token", "x"), ("--arbitrator", "a", "--host", "b"), ("--arbitrator", "a", "--ssh", "'")]
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as refused:
        setup.main([*NODES, *arguments], standalone_mode=False)
    assert refused.value.hint


def test_the_local_authority(data: Path) -> None:
    enrolment = LocalEnrolment(data, 5404)
    assert enrolment.authority().encode() == material.certificate_pem(store.load_authority(data).certificate)
    assert enrolment.vote_port("office") == 5404
    with pytest.raises(UserError):
        enrolment.vote_port("Qnetd Server")
    certificate, authority = enrolment.certificate("office", request("office"))
    assert certificate.startswith("-----BEGIN CERTIFICATE-----")
    assert authority == enrolment.authority()
