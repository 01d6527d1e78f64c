"""SFTP, and through it the old protocol of scp, over the files of a `Tree`. Nothing here touches a file of this host.

Clients show words of their own for what is refused; ours go beside, on standard error, where a person sees them as well.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, cast

import asyncssh
from asyncssh.channel import SSHChannel

from thirdvote.enroll.tree import AUTHORIZED_KEYS, FILE_BYTES_MAX, Entry, FileRefused, Tree, absolute
from thirdvote.errors import UserError

HANDLES_MAX = 8
"""Files that one client has open at once."""

REFUSED_BYTES_MAX = 4 * FILE_BYTES_MAX
"""Written to a file that is full already: whoever goes on after that is sent away."""

READ_BYTES_MAX = 65_536

FILE_PERMISSIONS, FOLDER_PERMISSIONS = 0o600, 0o700


class FileDesk(Protocol):
    """What belongs to whoever is logged in."""

    @property
    def tree(self) -> Tree: ...

    def save_keys(self, text: str) -> None:
        """UserError."""

    def has_read(self, path: str) -> None:
        """The whole file went out."""

    def refused(self, what: str) -> None:
        """For the log."""

    def send_away(self, why: str) -> None: ...

    def clock(self) -> int: ...


@dataclass(slots=True)
class Handle:
    path: str
    reads: bool
    writes: bool
    appends: bool
    read_to: int = 0
    refused_bytes: int = 0
    is_changed: bool = False


class TreeSftp(asyncssh.SFTPServer):
    """One client's. Every method of the class above that touches a file is replaced; a test looks that none is left."""

    def __init__(self, channel: SSHChannel[bytes], desk: FileDesk) -> None:
        super().__init__(cast("asyncssh.SSHServerChannel[bytes]", channel))
        self._desk = desk
        self._handles = 0
        self._says_itself = self.channel.get_command() is not None  # the old scp shows our words

    # ---- names

    def format_user(self, uid: int | None) -> str:
        return "root"

    def format_group(self, gid: int | None) -> str:
        return "root"

    def map_path(self, path: bytes) -> bytes:
        return path

    def reverse_map_path(self, path: bytes) -> bytes:
        return path

    def realpath(self, path: bytes) -> bytes:
        return self._path(path).encode("utf-8", "surrogateescape")

    def _path(self, path: bytes) -> str:
        try:
            return absolute(path.decode("utf-8", "surrogateescape") or ".")
        except FileRefused as error:
            self._refuse(error)

    # ---- looking

    def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return self._attributes(self._path(path))

    def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return self._attributes(self._path(path))

    def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        return self._attributes(_handle(file_obj).path)

    def _attributes(self, path: str) -> asyncssh.SFTPAttrs:
        """Programs look before they write: what is not there is no fault of anybody."""
        try:
            return attributes_of(self._desk.tree.entry(path))
        except FileRefused as error:
            raise asyncssh.SFTPNoSuchFile(str(error)) from None

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        for name in self.listdir(path):
            yield name

    def listdir(self, path: bytes) -> list[asyncssh.SFTPName]:
        """What asyncssh asks for up to 2.10, which Debian 12 has."""
        try:
            entries = self._desk.tree.listing(self._path(path))
        except FileRefused as error:
            self._refuse(error)
        return [asyncssh.SFTPName(entry.name.encode("utf-8", "surrogateescape"), attrs=attributes_of(entry)) for entry in entries]

    # ---- reading and writing

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if self._handles >= HANDLES_MAX:
            self._refuse(FileRefused(errno.EMFILE, f"more than {HANDLES_MAX} files are open at once"))
        handle = Handle(
            self._path(path), bool(pflags & asyncssh.FXF_READ), bool(pflags & asyncssh.FXF_WRITE), bool(pflags & asyncssh.FXF_APPEND)
        )
        try:
            self._begin(handle, pflags)
        except FileRefused as error:
            self._refuse(error)
        self._handles += 1
        return handle

    def _begin(self, handle: Handle, pflags: int) -> None:
        tree = self._desk.tree
        if not handle.writes:
            tree.read(handle.path)
            return
        if not pflags & asyncssh.FXF_CREAT:
            tree.entry(handle.path)
        tree.begin(handle.path, self._desk.clock(), anew=bool(pflags & asyncssh.FXF_TRUNC), only_new=bool(pflags & asyncssh.FXF_EXCL))
        handle.is_changed = True

    def open56(self, path: bytes, desired_access: int, flags: int, attrs: asyncssh.SFTPAttrs) -> object:
        self._refuse_kind("a newer protocol")

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        handle = _handle(file_obj)
        try:
            data = self._desk.tree.read(handle.path)[offset : offset + min(size, READ_BYTES_MAX)] if offset >= 0 else b""
        except FileRefused as error:
            self._refuse(error)
        handle.read_to = max(handle.read_to, offset + len(data))
        return data

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        handle = _handle(file_obj)
        if not handle.writes:
            self._refuse(FileRefused(errno.EACCES, f"{handle.path} was opened for reading"))
        try:
            start = self._desk.tree.entry(handle.path).size if handle.appends else offset
            self._desk.tree.write(handle.path, start, data, self._desk.clock())
        except FileRefused as error:
            handle.refused_bytes += len(data)
            if handle.refused_bytes > REFUSED_BYTES_MAX:
                text = f"far too much was sent to {handle.path}"
                self._desk.refused(text)
                self._desk.send_away(text)
            self._refuse(error, is_first=handle.refused_bytes == len(data))
        handle.is_changed = True
        return len(data)

    def close(self, file_obj: object) -> None:
        handle = _handle(file_obj)
        self._handles -= 1
        tree = self._desk.tree
        if not tree.is_file(handle.path):
            return
        if handle.writes and handle.is_changed and handle.path == AUTHORIZED_KEYS:
            self._save_keys(tree.read(handle.path))
        elif handle.reads and handle.read_to >= tree.entry(handle.path).size:
            self._desk.has_read(handle.path)

    def _save_keys(self, data: bytes) -> None:
        if not data.strip():
            return  # it was only made, or emptied
        try:
            self._desk.save_keys(data.decode("utf-8", "replace"))
        except UserError as error:
            self._refuse(FileRefused(errno.EINVAL, str(error)))

    # ---- attributes: what is set on something that is there is taken and forgotten

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        self._set(self._path(path), attrs)

    def lsetstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        self._set(self._path(path), attrs)

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        self._set(_handle(file_obj).path, attrs)

    def _set(self, path: str, attrs: asyncssh.SFTPAttrs) -> None:
        try:
            self._desk.tree.entry(path)
            if attrs.size is not None:
                self._desk.tree.truncate(path, attrs.size)
        except FileRefused as error:
            self._refuse(error)

    # ---- folders and names

    def remove(self, path: bytes) -> None:
        with_path = self._path(path)
        self._change(lambda tree: tree.remove(with_path))

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        with_path = self._path(path)
        try:
            self._desk.tree.make_folder(with_path, self._desk.clock())
        except FileRefused as error:
            self._refuse(error, is_first=error.number != errno.EEXIST)

    def rmdir(self, path: bytes) -> None:
        with_path = self._path(path)
        self._change(lambda tree: tree.remove_folder(with_path))

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        old, new = self._path(oldpath), self._path(newpath)
        self._change(lambda tree: tree.rename(old, new, over=False))

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        old, new = self._path(oldpath), self._path(newpath)
        self._change(lambda tree: tree.rename(old, new, over=True))

    def _change(self, change: Any) -> None:
        try:
            change(self._desk.tree)
        except FileRefused as error:
            self._refuse(error)

    # ---- what is not there

    def readlink(self, path: bytes) -> bytes:
        self._refuse_kind("a link")

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        self._refuse_kind("a link")

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        self._refuse_kind("a link")

    def lock(self, file_obj: object, offset: int, length: int, flags: int) -> None:
        self._refuse_kind("a lock")

    def unlock(self, file_obj: object, offset: int, length: int) -> None:
        self._refuse_kind("a lock")

    def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        self._refuse_kind("a file system")

    def fstatvfs(self, file_obj: object) -> asyncssh.SFTPVFSAttrs:
        self._refuse_kind("a file system")

    def fsync(self, file_obj: object) -> None:
        """What is in memory is where it belongs."""

    def exit(self) -> None:
        """scp takes it for a failure when the program at this end has no exit status."""
        if not self._says_itself:
            self.channel.exit(0)

    # ---- refusals

    def _refuse_kind(self, what: str) -> NoReturn:
        self._refuse(FileRefused(errno.EOPNOTSUPP, f"there is no such thing here as {what}"))

    def _refuse(self, error: FileRefused, is_first: bool = True) -> NoReturn:
        if is_first:
            self._desk.refused(str(error))
            if not self._says_itself:
                self.channel.write_stderr(f"{error}\n".encode("utf-8", "backslashreplace"))
        match error.number:
            case errno.ENOENT:
                raise asyncssh.SFTPNoSuchFile(str(error))
            case errno.EACCES:
                raise asyncssh.SFTPPermissionDenied(str(error))
            case errno.EOPNOTSUPP:
                raise asyncssh.SFTPOpUnsupported(str(error))
            case _:
                raise asyncssh.SFTPFailure(str(error))


def attributes_of(entry: Entry) -> asyncssh.SFTPAttrs:
    kind = stat.S_IFDIR | FOLDER_PERMISSIONS if entry.is_folder else stat.S_IFREG | FILE_PERMISSIONS
    return asyncssh.SFTPAttrs(
        type=asyncssh.FILEXFER_TYPE_DIRECTORY if entry.is_folder else asyncssh.FILEXFER_TYPE_REGULAR,
        size=entry.size, uid=0, gid=0, permissions=kind, atime=entry.modified, mtime=entry.modified, nlink=1,
    )  # fmt: skip


def _handle(file_obj: object) -> Handle:
    assert isinstance(file_obj, Handle)
    return file_obj
