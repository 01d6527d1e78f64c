"""What each command that a program sends over SSH is answered with: a table. The words are those of the programs that it stands for."""

from __future__ import annotations

import getopt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from thirdvote import __version__
from thirdvote.enroll.shell import HINT, Step, shown
from thirdvote.enroll.tree import NSSDB, FileRefused, Tree, absolute
from thirdvote.errors import UserError

FAILED = 1
NOT_GIVEN = 2
INACTIVE = 3
UNKNOWN = 127
"""A shell's for a command that it does not have."""

CERTUTIL_USAGE = "usage: corosync-qnetd-certutil -i | -s -c REQUEST -n CLUSTER\n"
TOOL_USAGE = "usage: corosync-qnetd-tool -s [-v] | -l [-v] -c CLUSTER\n"

SERVICES = frozenset({"corosync-qnetd", "corosync-qnetd.service"})
PACKAGES = frozenset({"corosync-qnetd"})


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 0
    out: bytes = b""
    error: str = ""
    is_told: bool = False
    """The log has it already, or it is what everybody hears."""


class Desk(Protocol):
    """What belongs to whoever is logged in."""

    @property
    def tree(self) -> Tree: ...

    async def sign(self, request: bytes, cluster_name: str) -> str:
        """Where the certificate is now. UserError."""

    async def ask_voter(self, request: str) -> str:
        """As the stock server answers its tool. UserError."""

    def has_read(self, path: str) -> None:
        """The whole file went out."""

    def clock(self) -> int:
        """Seconds of the clock on the wall."""


Handler = Callable[[Desk, Sequence[str]], Awaitable[Answer]]


async def carry_out(desk: Desk, steps: Sequence[Step]) -> Answer:
    """All of them, as far as `&&` and `||` let; the last status, and all that was said."""
    if (leftover := _leftover(steps)) is not None:
        steps = [Step(";", ("rm", "-f", leftover))]
    status, out, error, is_told = 0, b"", "", False
    for step in steps:
        if (step.joint == "&&" and status) or (step.joint == "||" and not status):
            continue
        answer = await _one(desk, step.words)
        status, out, error, is_told = answer.status, out + answer.out, error + answer.error, answer.is_told
        if step.words[0] == "exit":
            break
    return Answer(status, out, error, is_told)


def _leftover(steps: Sequence[Step]) -> str | None:
    """What crmsh takes away when it removes the device, `test -f FILE && rm -f FILE`. It takes it for a failure when there is no
    such file, which would have been in a window of long ago: well, then it is away.
    """
    match [(step.joint, *step.words) for step in steps]:
        case [(_, "test", "-f", path), ("&&", "rm", "-f", same)] if path == same and path.startswith(f"{NSSDB}/"):
            return path
        case _:
            return None


async def _one(desk: Desk, words: Sequence[str]) -> Answer:
    program = _program(words[0])
    handler = HANDLERS.get(program)
    if handler is None:
        return Answer(UNKNOWN, b"", f"this command is not known here: {shown(' '.join(words))}\nhint: {HINT}\n")
    try:
        return await handler(desk, words[1:])
    except FileRefused as error:
        return Answer(FAILED, b"", f"{program}: {error}\n")
    except UserError as error:
        return Answer(FAILED, b"", said(error))


def said(error: UserError) -> str:
    return f"{error}\n" + (f"hint: {error.hint}\n" if error.hint else "")


def _program(word: str) -> str:
    folder, _, name = word.rpartition("/")
    return name if folder in ("", "/bin", "/sbin", "/usr/bin", "/usr/sbin") else word


# ---- the stock programs


async def _certutil(desk: Desk, words: Sequence[str]) -> Answer:
    """As `corosync-qnetd-certutil`: the last operation counts, and -h ends it."""
    try:
        options, _ = getopt.getopt(list(words), "hisGc:n:")
    except getopt.GetoptError as error:
        return Answer(FAILED, b"", f"{error}\n{CERTUTIL_USAGE}")
    operation, request, cluster = "", "", ""
    for letter, value in options:
        match letter:
            case "-c":
                request = value
            case "-n":
                cluster = value
            case "-i" | "-s" | "-h":
                operation = letter
    if operation == "-i":
        return Answer(FAILED, b"", f"Certificate database ({NSSDB}) already exists. Delete it to initialize new db\n", is_told=True)
    if operation == "-s":
        return await _sign(desk, request, cluster)
    return Answer(out=CERTUTIL_USAGE.encode())


async def _sign(desk: Desk, request: str, cluster: str) -> Answer:
    path = absolute(request) if request else ""
    if not request or not desk.tree.is_file(path):
        where = f": send it first, scp FILE root@ARBITRATOR:{request}" if request else ""
        return Answer(NOT_GIVEN, b"", f"Can't open certificate file {request}{where}\n")
    if not cluster:
        return Answer(NOT_GIVEN, b"", "You have to specify cluster name\n")
    try:
        certificate = await desk.sign(desk.tree.read(path), cluster)
    except UserError as error:
        return Answer(FAILED, b"", said(error), is_told=True)
    return Answer(out=f"Signing cluster certificate\nCertificate stored in {certificate}\n".encode())


async def _tool(desk: Desk, words: Sequence[str]) -> Answer:
    """As `corosync-qnetd-tool`, for the caller's cluster."""
    try:
        options, _ = getopt.getopt(list(words), "Hhlsvc:p:")
    except getopt.GetoptError as error:
        return Answer(FAILED, b"", f"{error}\n{TOOL_USAGE}")
    letters = [letter for letter, _ in options]
    cluster = next((value for letter, value in reversed(options) if letter == "-c"), None)
    verbose = " verbose" if "-v" in letters else ""
    if "-H" in letters:
        raise UserError("the arbitrator is not stopped from here", "stop it on its own host")
    if "-l" in letters:
        if not cluster:
            raise UserError("only one cluster is shown here", "name it: corosync-qnetd-tool -l -c CLUSTER; or see thirdvote clusters")
        escaped = cluster.replace("\\", "\\\\").replace('"', '\\"')
        return Answer(out=(await desk.ask_voter(f'list{verbose} cluster "{escaped}"')).encode("utf-8", "surrogateescape"))
    if "-s" in letters:
        return Answer(out=(await desk.ask_voter(f"status{verbose}")).encode("utf-8", "surrogateescape"))
    return Answer(FAILED, TOOL_USAGE.encode())


# ---- what is asked of the host


async def _systemctl(desk: Desk, words: Sequence[str]) -> Answer:
    """The arbitrator runs, or nobody would answer; of other services there are none."""
    plain = [word for word in words if not word.startswith("-")]
    if len(plain) != 2:
        raise UserError(f"systemctl is not answered with {shown(' '.join(words))}", HINT)
    verb, service = plain
    ours = service in SERVICES
    match verb:
        case "is-active":
            return Answer(0 if ours else INACTIVE, b"active\n" if ours else b"inactive\n")
        case "is-enabled":
            return Answer(0 if ours else FAILED, b"enabled\n" if ours else b"disabled\n")
        case "list-unit-files":
            return Answer(0 if ours else FAILED, f"{service} enabled\n".encode() if ours else b"")
        case "enable" | "start" if ours:
            return Answer()
        case _:
            raise UserError(f"{verb} {shown(service)} is not done from here", "do it on the arbitrator's own host")


async def _package(desk: Desk, words: Sequence[str]) -> Answer:
    """`rpm -q NAME`, `dpkg -s NAME`, `dpkg-query --status NAME`: what is asked for is whether this is an arbitrator."""
    quiet = "--quiet" in words
    names = [word for word in words if not word.startswith("-")]
    missing = [name for name in names if name not in PACKAGES]
    if missing or not names:
        return Answer(FAILED, b"" if quiet else f"package {shown(' '.join(missing))} is not installed\n".encode())
    return Answer(out=b"" if quiet else f"corosync-qnetd: thirdvote {__version__} in its place\n".encode())


# ---- files


async def _test(desk: Desk, words: Sequence[str]) -> Answer:
    """`test -f FILE` and its like, also written with brackets."""
    plain = list(words[:-1]) if words and words[-1] == "]" else list(words)
    checks: dict[str, Callable[[str], bool]] = {
        "-f": desk.tree.is_file,
        "-d": desk.tree.is_folder,
        "-e": lambda path: desk.tree.is_file(path) or desk.tree.is_folder(path),
        "-s": lambda path: desk.tree.is_file(path) and desk.tree.entry(path).size > 0,
        "-r": desk.tree.is_file,
    }
    if len(plain) != 2 or plain[0] not in checks:
        raise UserError(f"test is not answered with {shown(' '.join(words))}", HINT)
    return Answer(0 if checks[plain[0]](absolute(plain[1])) else FAILED)


async def _ls(desk: Desk, words: Sequence[str]) -> Answer:
    paths = [word for word in words if not word.startswith("-")] or ["."]
    lines: list[str] = []
    for path in map(absolute, paths):
        if desk.tree.is_folder(path):
            lines += [entry.name for entry in desk.tree.listing(path)]
        else:
            desk.tree.entry(path)
            lines.append(path)
    return Answer(out="".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


async def _cat(desk: Desk, words: Sequence[str]) -> Answer:
    paths = [absolute(word) for word in words]
    out = b"".join(map(desk.tree.read, paths))
    for path in paths:
        desk.has_read(path)
    return Answer(out=out)


async def _rm(desk: Desk, words: Sequence[str]) -> Answer:
    flags = "".join(word[1:] for word in words if word.startswith("-"))
    for path in (absolute(word) for word in words if not word.startswith("-")):
        if desk.tree.is_folder(path) and "r" in flags:
            desk.tree.remove_folder(path)
        elif desk.tree.is_file(path) or "f" not in flags:
            desk.tree.remove(path)
    return Answer()


async def _mkdir(desk: Desk, words: Sequence[str]) -> Answer:
    parents = any(word.startswith("-") and "p" in word for word in words)
    for path in (absolute(word) for word in words if not word.startswith("-")):
        if not (parents and desk.tree.is_folder(path)):
            desk.tree.make_folder(path, desk.clock())
    return Answer()


async def _chmod(desk: Desk, words: Sequence[str]) -> Answer:
    """Permissions are as they are; whoever sets them on something that is there is told that it is well."""
    for path in (absolute(word) for word in words[1:] if not word.startswith("-")):
        desk.tree.entry(path)
    return Answer()


async def _well(desk: Desk, words: Sequence[str]) -> Answer:
    return Answer()


async def _exit(desk: Desk, words: Sequence[str]) -> Answer:
    return Answer(int(words[0]) % 256 if words and words[0].isascii() and words[0].isdigit() and len(words[0]) < 4 else 0)


async def _false(desk: Desk, words: Sequence[str]) -> Answer:
    return Answer(FAILED)


HANDLERS: dict[str, Handler] = {
    "corosync-qnetd-certutil": _certutil,
    "corosync-qnetd-tool": _tool,
    "systemctl": _systemctl,
    "rpm": _package,
    "dpkg": _package,
    "dpkg-query": _package,
    "test": _test,
    "[": _test,
    "ls": _ls,
    "cat": _cat,
    "rm": _rm,
    "mkdir": _mkdir,
    "chmod": _chmod,
    "exit": _exit,
    "true": _well,
    ":": _well,
    "false": _false,
}
