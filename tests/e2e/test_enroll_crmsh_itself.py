"""crmsh itself, as Debian has it: its own code asks the arbitrator, has it sign, and gives the nodes what they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.lab.bare import NAME, add_device, bare_cluster, opened
from tests.e2e.lab.ssh import SshUser
from tests.openssh_here import needs_openssh

pytestmark = [
    pytest.mark.e2e,
    needs_openssh,
    pytest.mark.skipif(not Path("/usr/lib/python3/dist-packages/crmsh").is_dir(), reason="needs crmsh (Debian: crmsh)"),
]

STEPS = ("valid_qnetd", "enable_qnetd", "start_qnetd", "certificate_process_on_init")

SCRIPT = """
import os, sys
os.makedirs("/var/log/crmsh", exist_ok=True)
from crmsh import log
log.setup_logging()
from crmsh import qdevice, utils
arbitrator, nodes = sys.argv[1], sys.argv[2].split(",")
utils.list_cluster_nodes = lambda *_, **__: nodes                # there is no Pacemaker here that knows them
utils.list_cluster_nodes_except_me = lambda *_, **__: nodes[1:]
device = qdevice.QDevice(arbitrator)
device.qnetd_ip = arbitrator
device.set_cluster_name()
for step in sys.argv[3:]:
    getattr(device, step)()
    print("done:", step)
"""


def test_its_steps_from_the_first_question_to_the_certificates(real_nodes: None, tmp_path: Path) -> None:
    with bare_cluster(tmp_path, 22) as bare:
        first, second = (SshUser(node) for node in bare.nodes)
        first.lets_in(first)
        second.lets_in(first)
        answer = opened(bare, "--cluster", NAME)
        first.types(answer["password"])
        first.must("sh", "-c", "printf 'Host *\\n    StrictHostKeyChecking accept-new\\n' >> ~/.ssh/config")
        first.must("ssh-copy-id", f"root@{answer['address']}")
        script = tmp_path / "crmsh_steps.py"
        script.write_text(SCRIPT)
        nodes = ",".join(node.address for node in bare.nodes)
        done = first.run(["/usr/bin/python3", str(script), answer["address"], nodes, *STEPS])
        assert [line.removeprefix("done: ") for line in done.stdout.splitlines() if line.startswith("done: ")] == list(STEPS), (
            done.stdout + done.stderr + bare.arbitrator.thirdvote("history", NAME)
        )
        add_device(bare)
