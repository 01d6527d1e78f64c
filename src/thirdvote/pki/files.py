"""Files that must not be read by others, must not be half written, and say what is wrong with them."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from thirdvote.errors import UserError

FILE_BYTES_MAX = 1 << 20
"""The largest of these files, an authority's bundle, has a few kilobytes."""

KEY_MODE = 0o600
CERTIFICATE_MODE = 0o644
FOLDER_MODE = 0o700

_UNFINISHED = ".new-"


def read(path: Path, what: str) -> bytes:
    """UserError when it is missing, can not be read, or is far too long to be `what`."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise UserError(f"the {what}, {path}, is missing", "restore it from a backup") from None
    except OSError as error:
        raise unusable(error, path, what) from None
    if len(data) > FILE_BYTES_MAX:
        raise UserError(f"the {what}, {path}, is longer than {FILE_BYTES_MAX} bytes", "restore it from a backup")
    return data


def check_readable(path: Path, what: str) -> None:
    """UserError."""
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise UserError(f"the {what}, {path}, is missing", "restore it from a backup") from None
    except OSError as error:
        raise unusable(error, path, what) from None


@dataclass(frozen=True, slots=True)
class Owner:
    user: int
    group: int


def owner_for_root(path: Path) -> Owner | None:
    """Root leaves files to whom a folder belongs; everybody else keeps them. None for: as it comes."""
    if os.geteuid() != 0:
        return None
    found = path.stat()
    return Owner(found.st_uid, found.st_gid)


def write(path: Path, data: bytes, mode: int, what: str, owner: Owner | None = None) -> None:
    """Replaces the file in one step: it is there as a whole or as it was, also after a loss of power. UserError."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if owner is not None:
                    os.fchown(file.fileno(), owner.user, owner.group)
                os.fchmod(file.fileno(), mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise unusable(error, path, what) from None


def is_there(path: Path) -> bool:
    """UserError when that can not be seen: a file that is hidden must not count as missing."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unusable(error, path, "file") from None
    return True


@contextmanager
def unfinished_folder(folder: Path) -> Iterator[Path]:
    """A folder in `folder` for files that are moved out of it when they are ready; gone afterwards. OSError."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=_UNFINISHED) as name:
        yield Path(name)


def set_rights(path: Path, mode: int, owner: Owner | None) -> None:
    """OSError."""
    if owner is not None:
        os.chown(path, owner.user, owner.group)
    path.chmod(mode)


def move(source: Path, target: Path) -> None:
    """The whole file or nothing, also after a loss of power. OSError."""
    descriptor = os.open(source, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    source.replace(target)
    sync_folder(target.parent)


def is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Also its parents; made by root they belong to whom the folder above belongs. UserError, also when others may put files into it."""
    try:
        missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        owner = owner_for_root(missing[-1].parent) if missing else None
        if owner is not None:
            for place in missing:
                os.chown(place, owner.user, owner.group, follow_symlinks=False)
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise unusable(error, folder, "folder of the certificates") from None
    if mode & 0o022:
        raise UserError(
            f"other users may write into the folder of the certificates, {folder} (mode {mode:04o})", f"run: chmod go-w {folder}"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time works on the files in `folder`; what a crashed one left unfinished is taken away first. UserError."""
    what = "folder of the certificates"
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise unusable(error, folder, what) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise unusable(error, folder, what) from None
        with suppress(OSError):
            for leftover in folder.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        yield
    finally:
        os.close(descriptor)


def check_private(path: Path, what: str) -> None:
    """UserError when the key is missing, or group or others may do anything with it."""
    others = 0o077
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        raise UserError(f"the {what}, {path}, is missing", "restore it from a backup") from None
    except OSError as error:
        raise unusable(error, path, what) from None
    if mode & others:
        hint = f"run: chmod {mode & ~others:o} {path} (if that changes nothing, the file system keeps no permissions: use another one)"
        raise UserError(f"the {what}, {path}, is open to other users (mode {mode:04o})", hint)


def unusable(error: OSError, path: Path, what: str) -> UserError:
    """Why the system refuses, and what to do about it."""
    reason = (error.strerror or str(error)).lower()
    return UserError(f"the {what}, {path}, can not be used: {reason}", _remedy(error, path))


def _remedy(error: OSError, path: Path) -> str:
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return _permission_remedy(path)
        case errno.EROFS:
            return f"mount {_nearest(path)} for writing, or choose another directory"
        case errno.ENOSPC | errno.EDQUOT:
            return f"make room on the file system of {_nearest(path)}: df {_nearest(path)}"
        case _:
            return f"look at it: ls -ld {path}"


def _permission_remedy(path: Path) -> str:
    """Commands only for what is certainly ours: nobody is told to give away a system's folder."""
    user = _user_name(os.geteuid())
    missing = [place for place in (path, *path.parents) if not os.path.lexists(place)]
    closed = next((folder for folder in reversed(path.parents) if folder not in missing and not os.access(folder, os.X_OK)), None)
    if closed is not None and closed != path.parent:
        return f"{closed} is closed to {user}: choose another directory"
    if closed is None and path.parent in missing:
        return f"as root run: install -d -o {user} {missing[-1]}; or choose another directory"
    return _remedy_for_ours(path, user)


def _remedy_for_ours(path: Path, user: str) -> str:
    place = path if os.access(path, os.F_OK) and not os.access(path, os.R_OK) else path.parent
    owner = place.stat().st_uid
    if owner == os.geteuid():
        return f"run: chmod u+rwX {place}"
    return f"{place} belongs to {_user_name(owner)}; as root run: chown -R {user} {place}"


def _nearest(path: Path) -> Path:
    return next((place for place in [path, *path.parents] if place.exists()), path)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
