from __future__ import annotations

from pathlib import Path

import pytest

from tests.corosync_confs import PROXMOX
from tests.nodes_here import FolderHost, NodesHere, nodes_here
from tests.unit.device.test_join import Enrolment
from thirdvote.device import by_hand, certificates
from thirdvote.device.join import Join, Options
from thirdvote.device.remove import Remove
from thirdvote.device.services import Systemd
from thirdvote.device.site import CONF, PROXMOX_CONF, Site, from_inside, look
from thirdvote.device.steps import Interruption
from thirdvote.errors import UserError


@pytest.fixture
def here(tmp_path: Path) -> NodesHere:
    return nodes_here(tmp_path, PROXMOX)


def site_of(here: NodesHere) -> Site:
    """As it is without ssh between the nodes."""
    return from_inside(here.hosts[0], look(here.hosts[0]), lambda node: None)


class Person:
    """Copies the folder, and types on the other node what is said."""

    def __init__(self, here: NodesHere, comes: bool = True) -> None:
        self.first, self.other = here.hosts
        self.comes = comes
        self.said: list[str] = []
        self.typed: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)
        if "systemctl enable --now" in text:
            self.type(text.partition("as root: ")[2])

    def confirm(self, question: str) -> None:
        if not self.comes:
            raise UserError("nobody is there any more")
        outbox = self.first.path(by_hand.OUTBOX)
        inbox = self.other.path(by_hand.INBOX)
        inbox.mkdir(parents=True)
        for path in outbox.iterdir():
            (inbox / path.name).write_bytes(path.read_bytes())
        for line in self.said:
            if line.startswith("  "):
                self.type(line.strip())

    def type(self, command: str) -> None:
        """Paths of the machine are those of the node's folder."""
        self.typed.append(command)
        place = str(self.other.root)
        command = command.replace("/etc/", f"{place}/etc/").replace("enable --now", "restart")
        command = command.replace("disable --now", "stop")
        assert self.other.run("sh", "-c", command).status == 0, command


def joined(here: NodesHere, person: Person) -> None:
    work = Join(site_of(here), Enrolment(), Systemd(person.say), Options("10.0.0.9"), person.say, Interruption(), person.confirm)
    work.prepare()
    work.run()


def on_both(here: NodesHere) -> list[FolderHost]:
    return here.hosts


def test_what_is_said_makes_a_node_as_ssh_would(here: NodesHere) -> None:
    person = Person(here)
    joined(here, person)
    for host in on_both(here):
        assert host.conf == here.in_force
        assert certificates.has_database(host)
        assert host.runs
    assert person.typed == [
        "corosync-qdevice-net-certutil -i -c /etc/corosync/thirdvote-join/ca.crt",
        "corosync-qdevice-net-certutil -m -c /etc/corosync/thirdvote-join/qdevice-net-node.p12",
        "cp -p /etc/corosync/corosync.conf /etc/corosync/corosync.conf.before-thirdvote",
        "cat /etc/corosync/thirdvote-join/corosync.conf > /etc/corosync/corosync.conf",
        "rm -r /etc/corosync/thirdvote-join",
        "systemctl enable --now corosync-qdevice",
    ]


def test_the_key_does_not_stay_in_the_folder(here: NodesHere) -> None:
    joined(here, Person(here))
    assert not here.hosts[0].path(by_hand.OUTBOX).exists()
    assert not here.hosts[1].path(by_hand.INBOX).exists()


def test_when_nobody_comes_it_is_undone_and_said_what_to_undo_there(here: NodesHere) -> None:
    before = [host.files for host in here.hosts]
    person = Person(here, comes=False)
    with pytest.raises(UserError, match="nobody is there"):
        joined(here, person)
    assert [host.files for host in here.hosts] == before
    told = person.said[person.said.index("undo: what was done by hand on pve2") :]
    assert any("systemctl disable --now corosync-qdevice" in line for line in told)
    assert any(certificates.DATABASE in line for line in told)


def test_leaving(here: NodesHere) -> None:
    joined(here, Person(here))
    person = Person(here)
    work = Remove(site_of(here), Systemd(person.say), False, person.say, Interruption(), person.confirm)
    work.prepare()
    work.run()
    for host in on_both(here):
        assert host.conf == here.in_force
        assert not host.runs
    assert "device" not in here.in_force


def test_proxmox_brings_the_file_by_itself(here: NodesHere) -> None:
    here.hosts[0].path(PROXMOX_CONF).parent.mkdir()
    here.hosts[0].path(PROXMOX_CONF).write_text(PROXMOX)
    assert not any(CONF in command for command in [*by_hand.joining(site_of(here)), *by_hand.leaving(site_of(here))])


def test_where_ssh_reaches_everybody_nobody_is_asked(here: NodesHere) -> None:
    first, second = here.hosts
    site = from_inside(first, look(first), lambda node: second)
    assert by_hand.ByHand(site, lambda text: None, by_hand.nobody).steps(dict, []) == []
    with pytest.raises(AssertionError):
        by_hand.nobody("?")
