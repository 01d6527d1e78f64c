"""Cluster nodes without a cluster: each a folder in which the real shell works, with scripts that stand for Corosync's programs.

What the steps do to files, in which order, and what comes back when they fail, is seen here in milliseconds; the real programs are
in `tests/e2e/test_join.py`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from thirdvote.device.host import Ended
from thirdvote.errors import UserError

PROGRAMS = {
    "corosync-quorumtool": """
count=$(cat "$ALL"/members | wc -w); expected=$count; votes=$count; quorum=$((count / 2 + 1)); rows=; status=0
device=$(grep -c 'model: net' "$ALL/in-force"); given=$(sed -n 's/^ *votes: //p' "$ALL/in-force" | tail -1)
[ "$device" = 0 ] || { given=${given:-$(($(cat "$ALL"/all | wc -w) - 1))}; }
for node in $(cat "$ALL/members"); do
    state=; [ "$device" = 0 ] || { state=NR; [ -e "$ALL/$node/running" ] && state=A,V,NMW; }
    rows="$rows         $node          1 ${state:+   $state }n$node
"
done
everybody=$(cat "$ALL/all" | wc -w); expected=$everybody
if [ "$device" != 0 ]; then expected=$((everybody + given)); fi
if [ "$device" != 0 ] && [ -e "$ROOT/running" ] && [ ! -e "$ALL/no-vote" ]; then
    votes=$((votes + given)); rows="$rows         0          $given            Qdevice
"
fi
quorum=$((expected / 2 + 1)); quorate=Yes; [ "$votes" -ge "$quorum" ] || { quorate=No; status=2; }
cat << END
Quorum information
------------------
Quorum provider:  corosync_votequorum
Node ID:          $NUMBER
Quorate:          $quorate

Votequorum information
----------------------
Expected votes:   $expected
Total votes:      $votes
Quorum:           $quorum
Flags:

Membership information
----------------------
    Nodeid      Votes    Qdevice Name
$rows
END
exit $status
""",
    "corosync-cfgtool": 'cp "$ROOT/etc/corosync/corosync.conf" "$ALL/in-force"; echo reload >> "$ALL/reloads"',
    "corosync-cmapctl": """
found=$(sed -n "s/^ *${2##*.}: //p" "$ALL/in-force")
[ -n "$found" ] || { echo "Can't get key $2. Error CS_ERR_NOT_EXIST" >&2; exit 1; }
echo "$2 (str) = $found"
""",
    "corosync-qdevice": "exit 0",
    "corosync-qdevice-tool": """
[ -e "$ROOT/running" ] || exit 3
echo "State:	$(cat "$ALL/state" 2> /dev/null || echo Connected)"
""",
    "corosync-qdevice-net-certutil": """
base=$ROOT/etc/corosync/qdevice/net/nssdb
case $1 in
    -i) [ ! -e $base/cert9.db ] || { echo 'Certificate database already exists. Delete it to continue' >&2; exit 1; }
        mkdir -p $base; cat "$3" > $base/cert9.db ;;
    -r) echo "request for $3" > $base/qdevice-net-node.crq ;;
    -M) echo taken >> $base/cert9.db; cat "$3" > $base/qdevice-net-node.p12 ;;
    -m) echo taken >> $base/cert9.db ;;
esac
""",
    "certutil": 'grep -q taken "$ROOT/etc/corosync/qdevice/net/nssdb/cert9.db"',
    "pk12util": "exit 0",
    "openssl": "cat; case $* in pkcs12*) echo key ;; esac",
    "systemctl": """
echo "$*" >> "$ROOT/systemctl"
case "$*" in
    is-active*) [ -e "$ROOT/running" ] ;;
    enable*) touch "$ROOT/enabled" ;;
    disable*) rm -f "$ROOT/enabled" ;;
    restart*) [ -n "$(grep 'model: net' "$ALL/in-force")" ] && touch "$ROOT/running" ;;
    stop*) rm -f "$ROOT/running" ;;
esac
""",
    "timeout": '[ "$6" != unreachable ]',
}

SSH = """\
#!/bin/sh
# Stands for ssh: runs the command in the folder of the node whose number the address ends with.
while [ "$1" != -- ]; do address=$1; shift; done
shift
ALL={all}; NUMBER=${{address##*.}}; ROOT=$ALL/$NUMBER; PATH={programs}:$PATH
export ALL NUMBER ROOT PATH
[ -d "$ROOT" ] || {{ echo "no route to $address" >&2; exit 255; }}
exec sh -c "$(printf %s "$*" | sed "s# /etc/# $ROOT/etc/#g; s# /run/# $ROOT/run/#g")"
"""


class FolderHost:
    """As `device.host.Host`: absolute paths below /etc and /run are in `root`. `fails` has the programs that fail."""

    def __init__(self, name: str, number: int, all_nodes: Path, programs: Path) -> None:
        self.name = name
        self.number = number
        self.root = all_nodes / str(number)
        self.folder_of_programs = programs
        self.fails: set[str] = set()
        self._environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "ROOT": str(self.root),
            "ALL": str(all_nodes),
            "NUMBER": str(number),
        }
        (self.root / "etc/corosync").mkdir(parents=True)
        (self.root / "run/systemd/system").mkdir(parents=True)

    def run(self, *command: str, data: bytes = b"") -> Ended:
        if "unreachable" in self.fails:
            raise UserError(f"{self.name} can not be reached over ssh: no route", "copy a key")
        if found := next((each for each in self.fails if " ".join(command).startswith(each)), None):
            return Ended(1, b"", f"{found} has failed")
        mapped = [f"{self.root}{word}" if word.startswith(("/etc/", "/run/")) else word for word in command]
        done = subprocess.run(mapped, input=data, capture_output=True, env=self._environment, timeout=30, check=False)
        return Ended(done.returncode, done.stdout, done.stderr.decode())

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    @property
    def runs(self) -> bool:
        return (self.root / "running").exists()

    @property
    def is_enabled(self) -> bool:
        return (self.root / "enabled").exists()

    @property
    def conf(self) -> str:
        return self.path("/etc/corosync/corosync.conf").read_text()

    @property
    def files(self) -> dict[str, str]:
        """Below /etc."""
        return {str(path.relative_to(self.root)): path.read_text() for path in sorted((self.root / "etc").rglob("*")) if path.is_file()}


@dataclass
class NodesHere:
    folder: Path
    hosts: list[FolderHost] = field(default_factory=list)

    def members(self, numbers: Sequence[int]) -> None:
        (self.folder / "members").write_text(" ".join(map(str, numbers)))

    @property
    def ssh(self) -> str:
        """A command that reaches them, by addresses that end with their numbers."""
        path = self.folder / "ssh"
        path.write_text(SSH.format(all=self.folder, programs=self.folder / "programs"))
        path.chmod(0o755)
        return str(path)

    @property
    def in_force(self) -> str:
        return (self.folder / "in-force").read_text()


def nodes_here(folder: Path, text: str, count: int = 2) -> NodesHere:
    """Running nodes 1 to `count` with that corosync.conf."""
    programs = folder / "programs"
    programs.mkdir()
    for name, script in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    here = NodesHere(folder)
    (folder / "in-force").write_text(text)
    numbers = list(range(1, count + 1))
    (folder / "all").write_text(" ".join(map(str, numbers)))
    here.members(numbers)
    for number in numbers:
        host = FolderHost(f"n{number}", number, folder, programs)
        host.path("/etc/corosync/corosync.conf").write_text(text)
        here.hosts.append(host)
    return here
