"""A Debian host that boots: systemd as the first process of namespaces of its own, on an overlay above a root that all tests share."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.lab.namespaces import CommandFailed, only_child

ROOT = Path(__file__).parents[3]

ROOT_SECONDS_MAX = 900
"""The first time everything is fetched."""
BOOT_SECONDS_MAX = 60
COMMAND_SECONDS_MAX = 120
PATIENCE_SECONDS = 60

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}

BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$2"
mkdir "$2/up" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/up,workdir=$2/work" overlay "$2/root"
cd "$2/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
ip link set lo up
mkdir .old
pivot_root . .old
umount -l /.old
rmdir /.old
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init --log-target=null --show-status=no
"""


def shared_root(suite: str = "bookworm") -> Path:
    """Made once on a machine."""
    made = subprocess.run([ROOT / "scripts" / "debian-root", suite], capture_output=True, text=True, check=False, timeout=ROOT_SECONDS_MAX)
    assert made.returncode == 0, made.stderr
    return Path(made.stdout.strip())


class DebianHost:
    """Ends with the test's process, however that ends."""

    def __init__(self, root: Path, folder: Path) -> None:
        scratch = folder / "host"
        scratch.mkdir()
        self._cgroup = _cgroups() / f"thirdvote-test-{os.getpid()}-{folder.name}"
        self._cgroup.mkdir()
        enter = f"echo 0 > '{self._cgroup}/cgroup.procs'; exec \"$@\""
        namespaces = ("unshare", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child")
        guard = ("setpriv", "--pdeathsig", "KILL")
        self._entrance = subprocess.Popen(
            [*guard, "sh", "-c", enter, "sh", *namespaces, "sh", "-c", BOOT, "sh", str(root), str(scratch)],
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        pid = only_child(self._entrance)
        assert pid is not None, "it ended before it had booted"
        self.pid = pid

    @property
    def entrance(self) -> tuple[str, ...]:
        return ("nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-i", "-u", "-C")

    def try_(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.entrance, *command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS_MAX,
            env=ENVIRONMENT,
        )

    def run(self, *command: str, text: str = "") -> str:
        """Its standard output; a status other than 0 is an error."""
        ended = self.try_(*command, text=text)
        if ended.returncode:
            raise CommandFailed(f"{' '.join(command)}: status {ended.returncode}\n{ended.stdout}\n{ended.stderr}\n{self.journal()}")
        return ended.stdout

    def shell(self, script: str) -> str:
        return self.run("sh", "-ec", script)

    def property(self, name: str, unit: str = "thirdvote") -> str:
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def wait_for(self, name: str, *values: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Until a property of the unit is one of these."""
        end = time.monotonic() + seconds
        while (found := self.property(name)) not in values:
            assert time.monotonic() < end, f"{name} is {found}\n{self.journal()}"
            time.sleep(0.1)
        return found

    def journal(self) -> str:
        return self.try_("journalctl", "--no-pager", "--quiet", "--output", "cat", "--unit", "thirdvote").stdout

    def files(self) -> set[str]:
        """All that a package could have left behind; not what every installation of a package changes."""
        shown = self.run("find", "/", "-xdev", "-not", "-path", "/var/log/*", "-not", "-path", "/var/lib/dpkg/*")
        return set(shown.splitlines())

    def wait_until_booted(self) -> None:
        end = time.monotonic() + BOOT_SECONDS_MAX
        while self.try_("systemctl", "is-system-running").stdout.strip() not in ("running", "degraded"):
            assert self._entrance.poll() is None, "it ended while it booted"
            assert time.monotonic() < end, self.try_("systemctl", "list-jobs").stdout
            time.sleep(0.1)

    def end(self) -> None:
        if self._entrance.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self._entrance.wait(BOOT_SECONDS_MAX)
        for folder in sorted((path for path in self._cgroup.rglob("*") if path.is_dir()), reverse=True):
            folder.rmdir()
        self._cgroup.rmdir()


@contextmanager
def debian_host(root: Path, folder: Path) -> Iterator[DebianHost]:
    host = DebianHost(root, folder)
    try:
        host.wait_until_booted()
        yield host
    finally:
        host.end()


def _cgroups() -> Path:
    """Where this machine has its control groups, of version 2."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, behind = line.partition(" - ")
        if behind.startswith("cgroup2 "):
            return Path(before.split()[4])
    raise AssertionError("no control groups of version 2 here")
