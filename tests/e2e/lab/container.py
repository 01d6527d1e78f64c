"""The arbitrator in a container: its image is built from this checkout, and run by podman in the network of a machine of the lab."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.lab.arbitrator import OwnNames
from tests.e2e.lab.network import Switch

ROOT = Path(__file__).parents[3]
PROGRAMS = ("podman", "buildah", "mmdebstrap", "tar")

BASE_SECONDS_MAX = 900
BUILD_SECONDS_MAX = 600
COMMAND_SECONDS_MAX = 120
START_SECONDS_MAX = 60

USER = 5403
DATA = "/var/lib/thirdvote"
STRICT = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
HERE = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4096:4096", "--no-healthcheck")
"""podman wants more open files than a machine may give, and lets systemd look at the health."""

WITHOUT_UNIFIED_GROUPS = 'umount /sys/fs/cgroup/unified 2>/dev/null || true; exec "$@"'
"""In mounts of its own: a system with both versions of control groups confuses podman."""

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def missing() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program) is None]


def podman(*arguments: str | Path, check: bool = True, seconds: float = COMMAND_SECONDS_MAX) -> subprocess.CompletedProcess[str]:
    command = ["unshare", "-m", "sh", "-c", WITHOUT_UNIFIED_GROUPS, "sh", "podman", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done


class Image:
    """Two tags of what this checkout gives, as two versions; removed by `remove`."""

    def __init__(self, folder: Path) -> None:
        self.base = f"localhost/thirdvote-test-base:{os.getpid()}"
        self.tag = f"localhost/thirdvote-test:{os.getpid()}"
        self.next_tag = f"{self.tag}-next"
        self._folder = folder
        archive = folder / "base.tar"
        _run(["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", str(archive)], BASE_SECONDS_MAX)
        podman("import", "--quiet", archive, self.base, seconds=BUILD_SECONDS_MAX)
        archive.unlink()
        self._build()
        self._build_next()

    def _build_next(self) -> None:
        """The same under another version, without another build."""
        name = f"thirdvote-test-{os.getpid()}"
        _run(["buildah", "from", "--name", name, self.tag], BUILD_SECONDS_MAX)
        _run(["buildah", "config", "--label", "org.opencontainers.image.version=1.0.1", name], BUILD_SECONDS_MAX)
        _run(["buildah", "commit", "--quiet", "--rm", "--format", "docker", name, self.next_tag], BUILD_SECONDS_MAX)

    def _build(self) -> None:
        """pip reaches its index as it does on this machine, whose certificates it may need."""
        configuration = self._folder / "pip.conf"
        configuration.write_text("[global]\ncert = /run/certificates.crt\n" if CERTIFICATES.exists() else "", encoding="ascii")
        secrets = [f"id=pip.conf,src={configuration}"] + ([f"id=certificates,src={CERTIFICATES}"] if CERTIFICATES.exists() else [])
        options = [word for secret in secrets for word in ("--secret", secret)]
        arguments = ("--build-arg", f"BASE={self.base}", "--build-arg", "VERSION=1.0.0", "--timestamp", "0", "--format", "docker")
        place = ("--isolation", "chroot", "-f", "packaging/container/Containerfile", "-t", self.tag)
        _run(["buildah", "bud", *place, *arguments, *options, "."], BUILD_SECONDS_MAX)

    def bytes_above_base(self) -> int:
        sizes = [int(podman("image", "inspect", "-f", "{{.Size}}", image).stdout) for image in (self.tag, self.base)]
        return sizes[0] - sizes[1]

    def remove(self) -> None:
        podman("rmi", "--force", self.next_tag, self.tag, self.base, check=False)


class ContainerArbitrator(OwnNames):
    """`volume` is what is mounted as its data, `image` what it runs."""

    def __init__(self, switch: Switch, folder: Path, image: str, volume: Path) -> None:
        super().__init__(switch, folder)
        self.image = image
        self.volume = volume
        self.name = "arbitrator"
        self.container = f"thirdvote-test-{os.getpid()}-{folder.parent.name}"

    def start_server(self) -> None:
        """Removes what ran before."""
        podman("rm", "--force", "--ignore", self.container)
        network = ("--network", f"ns:/proc/{self.pid}/ns/net", "--env", f"THIRDVOTE_ENROLL_ADDRESS={self.address}")
        mounted = ("--volume", f"{self.volume}:{DATA}")
        podman("run", "--detach", "--name", self.container, *STRICT, *HERE, *network, *mounted, self.image)
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while podman("exec", self.container, "thirdvote", "doctor", "--quick", check=False).returncode != 0:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.2)

    def stop_server(self) -> int:
        podman("stop", "--time", "15", self.container)
        return int(podman("inspect", "-f", "{{.State.ExitCode}}", self.container).stdout)

    def kill_and_start_again(self) -> None:
        podman("kill", "--signal", "KILL", self.container)
        podman("start", self.container)
        self.wait_until_it_answers()

    @property
    def log(self) -> str:
        done = podman("logs", self.container, check=False)
        return done.stdout + done.stderr

    def thirdvote(self, *arguments: str | Path) -> str:
        return self.inside("thirdvote", *arguments)

    def inside(self, *command: str | Path, check: bool = True) -> str:
        return podman("exec", self.container, *command, check=check).stdout

    def end(self) -> None:
        podman("rm", "--force", "--ignore", "--time", "0", self.container, check=False)
        super().end()


def run_alone(image: str, *options: str | Path) -> tuple[int, str]:
    """Exit status and output of one that ends by itself."""
    done = podman("run", "--rm", *STRICT, *HERE, "--network", "none", *options, image, check=False)
    return done.returncode, done.stdout + done.stderr


def _run(command: Sequence[str], seconds: float) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, cwd=ROOT, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
