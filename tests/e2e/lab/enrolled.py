"""A node that is enrolled by hand, in the steps of the stock tools."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.lab.arbitrator import Arbitrator
from tests.e2e.lab.node import Node


def enrol_anew(node: Node, arbitrator: Arbitrator, authority: Path, cluster_name: str) -> None:
    """With a key of its own; trusts `authority` and no other. Its device is stopped meanwhile and started again."""
    node.stop_qdevice()
    shutil.rmtree(node.database)
    node.certutil("-i", "-c", shutil.copy(authority, node.folder))
    node.certutil("-r", "-n", cluster_name)
    request = Path(shutil.copy(node.database / "qdevice-net-node.crq", arbitrator.folder))
    node.certutil("-M", "-c", shutil.copy(arbitrator.sign(request, cluster_name), node.folder))
    node.start_qdevice()
