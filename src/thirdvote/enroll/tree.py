"""The files that a node sees over SSH: the few that the stock arbitrator's host would have, in memory, of one window. Pure.

Nothing here is a file of this host. Reading: the authority's certificate, what was signed here, what was sent. Writing: requests
for a certificate, public keys, and what programs leave behind; few, small, and gone with the window. There are no links.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from thirdvote.errors import ThirdvoteError

HOME = "/root"
NSSDB = "/etc/corosync/qnetd/nssdb"
AUTHORITY = f"{NSSDB}/qnetd-cacert.crt"
AUTHORIZED_KEYS = f"{HOME}/.ssh/authorized_keys"

FIXED_FOLDERS = ("/", "/tmp", HOME, f"{HOME}/.ssh", "/etc", "/etc/corosync", "/etc/corosync/qnetd", NSSDB, "/run", "/var", "/var/tmp")  # noqa: S108
WRITABLE_FOLDERS = frozenset({"/tmp", "/var/tmp", HOME, f"{HOME}/.ssh", NSSDB, "/run"})  # noqa: S108  # names in memory, no folders

PATH_BYTES_MAX = 1_024
NAME_BYTES_MAX = 255
FILE_BYTES_MAX = 65_536
"""A request has at most a quarter of that, public keys half."""
FILES_MAX = 16
FOLDERS_MAX = 16
"""Of a tree, beside what is always there."""


class FileRefused(ThirdvoteError):
    """`number` is that of the system's error that says it best."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be seen of a file or a folder."""

    name: str
    is_folder: bool
    size: int
    modified: int
    is_fixed: bool


@dataclass(slots=True)
class _File:
    data: bytearray
    modified: int
    is_fixed: bool = False


@dataclass(slots=True)
class Tree:
    """`made` is the time, in seconds of the clock on the wall, that is shown for what is always there."""

    authority: bytes
    made: int
    _files: dict[str, _File] = field(default_factory=dict)
    _folders: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._files[AUTHORITY] = _File(bytearray(self.authority), self.made, is_fixed=True)
        self._files[AUTHORIZED_KEYS] = _File(bytearray(), self.made)

    # ---- looking

    def entry(self, path: str) -> Entry:
        """FileRefused when there is nothing."""
        name = path.rpartition("/")[2] or "/"
        if path in self._files:
            file = self._files[path]
            return Entry(name, False, len(file.data), file.modified, file.is_fixed)
        if path in FIXED_FOLDERS:
            return Entry(name, True, 0, self.made, True)
        if path in self._folders:
            return Entry(name, True, 0, self._folders[path], False)
        raise FileRefused(errno.ENOENT, f"there is no {path} here{_hint(path)}")

    def is_file(self, path: str) -> bool:
        return path in self._files

    def is_folder(self, path: str) -> bool:
        return path in FIXED_FOLDERS or path in self._folders

    def listing(self, path: str) -> list[Entry]:
        """FileRefused when it is no folder."""
        if not self.is_folder(path):
            number = errno.ENOTDIR if path in self._files else errno.ENOENT
            raise FileRefused(number, f"{path} is no folder here")
        inside = {*self._files, *self._folders, *FIXED_FOLDERS} - {"/"}
        return [self.entry(found) for found in sorted(inside) if _parent(found) == path]

    def read(self, path: str) -> bytes:
        """FileRefused."""
        if self.is_folder(path):
            raise FileRefused(errno.EISDIR, f"{path} is a folder")
        self.entry(path)
        return bytes(self._files[path].data)

    # ---- changing

    def put_certificate(self, cluster_name: str, certificate: bytes, now: int) -> str:
        """Where it is now."""
        path = certificate_path(cluster_name)
        self._files[path] = _File(bytearray(certificate), now, is_fixed=True)
        return path

    def begin(self, path: str, now: int, *, anew: bool, only_new: bool = False) -> None:
        """A file that can be written from now on. FileRefused."""
        if self.is_folder(path):
            raise FileRefused(errno.EISDIR, f"{path} is a folder")
        file = self._files.get(path)
        if file is None:
            self._check_place(path)
            if len(self._files) >= FILES_MAX:
                raise FileRefused(errno.EDQUOT, f"more than {FILES_MAX} files are not kept here")
            self._files[path] = _File(bytearray(), now)
            return
        if only_new:
            raise FileRefused(errno.EEXIST, f"{path} is there already")
        if file.is_fixed:
            raise FileRefused(errno.EACCES, f"{path} is not to be written: it is made by signing")
        if anew:
            file.data.clear()
            file.modified = now

    def write(self, path: str, offset: int, data: bytes, now: int) -> None:
        """FileRefused, also when it would grow too large."""
        file = self._files.get(path)
        if file is None or file.is_fixed:
            raise FileRefused(errno.ENOENT, f"{path} is gone")
        if offset < 0 or offset + len(data) > FILE_BYTES_MAX:
            raise FileRefused(
                errno.EFBIG, f"{path} would have more than {FILE_BYTES_MAX} bytes: a request for a certificate is far smaller"
            )
        if offset > len(file.data):
            file.data.extend(bytes(offset - len(file.data)))
        file.data[offset : offset + len(data)] = data
        file.modified = now

    def truncate(self, path: str, size: int) -> None:
        """FileRefused."""
        file = self._files.get(path)
        if file is None or file.is_fixed:
            raise FileRefused(errno.EACCES, f"{path} is not to be written")
        if not 0 <= size <= FILE_BYTES_MAX:
            raise FileRefused(errno.EFBIG, f"{path} would have more than {FILE_BYTES_MAX} bytes")
        del file.data[size:]
        file.data.extend(bytes(size - len(file.data)))

    def remove(self, path: str) -> None:
        """FileRefused. A signed certificate may go: whoever fetched it has it."""
        if path == AUTHORITY or self.is_folder(path):
            raise FileRefused(errno.EACCES, f"{path} is not to be removed")
        self.entry(path)
        del self._files[path]

    def rename(self, old: str, new: str, *, over: bool) -> None:
        """FileRefused."""
        self.entry(old)
        if old not in self._files or self._files[old].is_fixed:
            raise FileRefused(errno.EACCES, f"{old} is not to be renamed")
        if new in self._files and (not over or self._files[new].is_fixed):
            raise FileRefused(errno.EEXIST, f"{new} is there already")
        self._check_place(new)
        self._files[new] = self._files.pop(old)

    def make_folder(self, path: str, now: int) -> None:
        """FileRefused, also when it is there: programs use that as a lock."""
        if self.is_folder(path) or path in self._files:
            raise FileRefused(errno.EEXIST, f"{path} is there already")
        self._check_place(path)
        if len(self._folders) >= FOLDERS_MAX:
            raise FileRefused(errno.EDQUOT, f"more than {FOLDERS_MAX} folders are not kept here")
        self._folders[path] = now

    def remove_folder(self, path: str) -> None:
        """FileRefused."""
        if path in FIXED_FOLDERS:
            raise FileRefused(errno.EACCES, f"{path} is not to be removed")
        if path not in self._folders:
            raise FileRefused(errno.ENOENT, f"there is no folder {path} here")
        del self._folders[path]

    def _check_place(self, path: str) -> None:
        if _parent(path) not in WRITABLE_FOLDERS:
            there = self.is_folder(_parent(path))
            text = f"{path} can not be made here: send a request for a certificate to /tmp"
            raise FileRefused(errno.EACCES if there else errno.ENOENT, text)


def absolute(path: str, folder: str = HOME) -> str:
    """The path without `.`, `..`, `~` and double slashes; never outside of `/`. FileRefused for what no path is."""
    if "\0" in path:
        raise FileRefused(errno.EINVAL, "a path has a NUL in it")
    if len(path.encode("utf-8", "surrogateescape")) > PATH_BYTES_MAX:
        raise FileRefused(errno.ENAMETOOLONG, f"a path has more than {PATH_BYTES_MAX} bytes")
    for home in ("~root", "~"):
        if path == home or path.startswith(f"{home}/"):
            path = HOME + path[len(home) :]
            break
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{folder}/{path}").split("/"):
        if len(part.encode("utf-8", "surrogateescape")) > NAME_BYTES_MAX:
            raise FileRefused(errno.ENAMETOOLONG, f"a name in a path has more than {NAME_BYTES_MAX} bytes")
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def certificate_path(cluster_name: str) -> str:
    """The name that the stock tool gives to a signed certificate."""
    return f"{NSSDB}/cluster-{cluster_name}.crt"


def cluster_of(path: str) -> str | None:
    """Of which cluster this is the certificate."""
    prefix, suffix = f"{NSSDB}/cluster-", ".crt"
    return path[len(prefix) : -len(suffix)] if path.startswith(prefix) and path.endswith(suffix) else None


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _hint(path: str) -> str:
    """Whoever asks too early gets told what comes first."""
    cluster = cluster_of(path)
    if cluster is None:
        return ""
    return f": sign the request first, with corosync-qnetd-certutil -s -c FILE -n {cluster}"
