"""Clusters of real Corosync nodes for the tests marked e2e. `docs/testing.md` says what they need."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.lab.arbitrator import OwnNames, StockNames
from tests.e2e.lab.cluster import Cluster, StockCluster, running_cluster
from tests.e2e.lab.faults import Fault
from tests.e2e.lab.fleet import Plan, Result, run_side_by_side
from tests.e2e.lab.settings import Settings

PROGRAMS = (
    *("corosync", "corosync-quorumtool", "corosync-cfgtool", "corosync-qdevice", "corosync-qdevice-tool"),
    *("corosync-qdevice-net-certutil", "corosync-qnetd", "certutil", "ip", "mount", "nft", "nsenter", "unshare"),
)


CLUSTERS_AT_ONCE_MAX = 12
"""Of one file. To start more takes longer than some faults one after the other, and a processor with too much to do is a fault too."""


@pytest.fixture(scope="session")
def real_nodes() -> None:
    """Leaves the test out where there can be no cluster."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}; docs/testing.md names the packages")
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"this system gives no namespaces: {probe.stderr.strip()}")


@pytest.fixture(scope="module")
def shared_cluster(request: pytest.FixtureRequest, real_nodes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockCluster]:
    """One cluster for all tests of a module, as its SETTINGS and NODES say, at a server under the stock names."""
    folder = tmp_path_factory.mktemp(request.module.__name__.rpartition(".")[2])
    with running_cluster(request.module.SETTINGS, request.module.NODES, StockNames, folder) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: StockCluster) -> StockCluster:
    """The module's cluster, whole, with all votes."""
    shared_cluster.restore()
    return shared_cluster


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, real_nodes: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """By the names of the faults that the module's tests ask for as `fault`: what came of them, in clusters as SETTINGS and NODES say,
    at `thirdvote serve` as it is installed."""
    module = request.module
    items = [item for item in request.session.items if isinstance(item, pytest.Function) and item.module is module]
    parameters = [item.callspec.params.get("fault") for item in items if hasattr(item, "callspec")]
    asked = {fault.name: fault for fault in parameters if isinstance(fault, Fault)}
    folder = tmp_path_factory.mktemp(module.__name__.rpartition(".")[2])
    kind = partial(OwnNames, options=("--log-level", "debug", *_told(module.SETTINGS, folder)))
    shares = [tuple(asked.values())[number::CLUSTERS_AT_ONCE_MAX] for number in range(CLUSTERS_AT_ONCE_MAX)]
    plans = [Plan(f"c{number}", module.SETTINGS, module.NODES, kind, share) for number, share in enumerate(shares) if share]
    return {result.fault.name: result for result in run_side_by_side(plans, folder)}


def _told(settings: Settings, folder: Path) -> tuple[str, ...]:
    """What an administrator has to write for such nodes."""
    if settings.sync_timeout_ms is None:
        return ()
    config = folder / "thirdvote.toml"
    config.write_text(f'[clusters."{settings.cluster_name}"]\nsync-timeout = {settings.sync_timeout_ms}\n', encoding="utf-8")
    return ("--config", str(config))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the nodes reported and the ends of the logs."""
    report = yield
    arguments = item.funcargs.values() if isinstance(item, pytest.Function) else ()
    if report.failed and call.when != "teardown":
        for cluster in {value for value in arguments if isinstance(value, Cluster)}:
            report.sections.append(("cluster", cluster.evidence()))
    return report
