from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from thirdvote.enroll.tree import (
    AUTHORITY,
    AUTHORIZED_KEYS,
    FILE_BYTES_MAX,
    FILES_MAX,
    FIXED_FOLDERS,
    FOLDERS_MAX,
    HOME,
    NSSDB,
    PATH_BYTES_MAX,
    FileRefused,
    Tree,
    absolute,
    certificate_path,
    cluster_of,
)


def tree() -> Tree:
    return Tree(b"the authority", 1_000)


def put(where: Tree, path: str, data: bytes = b"x") -> None:
    where.begin(path, 2_000, anew=True)
    where.write(path, 0, data, 2_000)


def number_of(action: Callable[[], object]) -> int:
    with pytest.raises(FileRefused) as caught:
        action()
    return caught.value.number


# ---- paths


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/tmp/a", "/tmp/a"),
        ("a", f"{HOME}/a"),
        (".", "/root"),
        ("", "/root"),
        ("~", "/root"),
        ("~/x", f"{HOME}/x"),
        ("~root/.ssh", f"{HOME}/.ssh"),
        ("~other/x", f"{HOME}/~other/x"),
        ("/", "/"),
        ("//tmp//./a/", "/tmp/a"),
        ("/tmp/../etc/shadow", "/etc/shadow"),
        ("/../../../..", "/"),
        (f"{NSSDB}/../../../shadow", "/etc/shadow"),
    ],
)
def test_every_path_leads_somewhere_below_the_root(path: str, found: str) -> None:
    assert absolute(path) == found


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/tmp/a\0b", errno.EINVAL),
        ("/" + "a/" * PATH_BYTES_MAX, errno.ENAMETOOLONG),
        ("/tmp/" + "a" * 256, errno.ENAMETOOLONG),
        ("/tmp/" + "ä" * 128, errno.ENAMETOOLONG),
    ],
)
def test_what_is_no_path(path: str, number: int) -> None:
    assert number_of(lambda: absolute(path)) == number


def test_the_name_of_a_certificate_and_back() -> None:
    assert certificate_path("my cluster") == f"{NSSDB}/cluster-my cluster.crt"
    assert cluster_of(certificate_path("my cluster")) == "my cluster"
    assert cluster_of(AUTHORITY) is None


# ---- looking


def test_what_is_always_there() -> None:
    found = tree()
    assert found.read(AUTHORITY) == b"the authority"
    assert found.read(AUTHORIZED_KEYS) == b""
    assert all(found.is_folder(path) and found.entry(path).is_folder for path in FIXED_FOLDERS)
    assert [entry.name for entry in found.listing(NSSDB)] == ["qnetd-cacert.crt"]
    assert [entry.name for entry in found.listing("/")] == ["etc", "root", "run", "tmp", "var"]
    assert (found.entry(AUTHORITY).size, found.entry(AUTHORITY).modified) == (len(b"the authority"), 1_000)


def test_what_is_not_there() -> None:
    found = tree()
    assert number_of(lambda: found.read("/etc/shadow")) == errno.ENOENT
    assert number_of(lambda: found.entry("/nowhere")) == errno.ENOENT
    assert number_of(lambda: found.listing("/nowhere")) == errno.ENOENT
    assert number_of(lambda: found.listing(AUTHORITY)) == errno.ENOTDIR
    assert number_of(lambda: found.read("/tmp")) == errno.EISDIR


def test_whoever_fetches_too_early_is_told_what_comes_first() -> None:
    with pytest.raises(FileRefused, match="sign the request first, with corosync-qnetd-certutil -s -c FILE -n web"):
        tree().read(certificate_path("web"))


# ---- changing


def test_a_request_is_sent_and_read_back() -> None:
    found = tree()
    put(found, "/tmp/qdevice-net-node.crq", b"request")
    found.write("/tmp/qdevice-net-node.crq", 7, b" more", 3_000)
    assert found.read("/tmp/qdevice-net-node.crq") == b"request more"
    assert found.entry("/tmp/qdevice-net-node.crq").modified == 3_000
    put(found, "/tmp/qdevice-net-node.crq", b"new")
    assert found.read("/tmp/qdevice-net-node.crq") == b"new"


def test_what_is_written_behind_the_end_is_filled() -> None:
    found = tree()
    put(found, "/tmp/a", b"ab")
    found.write("/tmp/a", 4, b"c", 0)
    assert found.read("/tmp/a") == b"ab\0\0c"
    found.truncate("/tmp/a", 1)
    assert found.read("/tmp/a") == b"a"
    found.truncate("/tmp/a", 3)
    assert found.read("/tmp/a") == b"a\0\0"


@pytest.mark.parametrize("path", ["/tmp/a", "/var/tmp/a", f"{HOME}/a", f"{HOME}/.ssh/known_hosts", f"{NSSDB}/qdevice-net-node.crq.web"])
def test_where_files_may_be_made(path: str) -> None:
    found = tree()
    put(found, path)
    assert found.is_file(path)


@pytest.mark.parametrize("path", ["/a", "/etc/passwd", "/etc/corosync/a", "/var/a", "/nowhere/a", "/tmp/folder/a"])
def test_where_files_may_not_be_made(path: str) -> None:
    assert number_of(lambda: put(tree(), path)) in (errno.EACCES, errno.ENOENT)


def test_what_is_signed_is_not_written() -> None:
    found = tree()
    path = found.put_certificate("web", b"certificate", 5)
    assert found.read(path) == b"certificate"
    for fixed in (AUTHORITY, path):
        assert number_of(lambda fixed=fixed: put(found, fixed)) == errno.EACCES  # type: ignore[misc]
        assert number_of(lambda fixed=fixed: found.write(fixed, 0, b"x", 0)) == errno.ENOENT  # type: ignore[misc]
        assert number_of(lambda fixed=fixed: found.truncate(fixed, 0)) == errno.EACCES  # type: ignore[misc]
    assert number_of(lambda: found.remove(AUTHORITY)) == errno.EACCES
    found.remove(path)
    assert not found.is_file(path)


def test_files_are_small_and_few() -> None:
    found = tree()
    put(found, "/tmp/a", b"x" * FILE_BYTES_MAX)
    for action in (
        lambda: found.write("/tmp/a", FILE_BYTES_MAX, b"x", 0),
        lambda: found.write("/tmp/a", 1 << 62, b"x", 0),
        lambda: found.write("/tmp/a", -1, b"x", 0),
        lambda: found.truncate("/tmp/a", 1 << 62),
    ):
        assert number_of(action) == errno.EFBIG
    assert len(found.read("/tmp/a")) == FILE_BYTES_MAX

    def many() -> None:
        for number in range(FILES_MAX):
            put(found, f"/tmp/{number}")

    assert number_of(many) == errno.EDQUOT


def test_only_new_files_where_that_is_asked() -> None:
    found = tree()
    put(found, "/tmp/a")
    assert number_of(lambda: found.begin("/tmp/a", 0, anew=True, only_new=True)) == errno.EEXIST
    assert number_of(lambda: found.begin("/tmp", 0, anew=True)) == errno.EISDIR


def test_a_folder_is_a_lock() -> None:
    found = tree()
    found.make_folder("/run/.crmsh_lock_directory", 7)
    assert number_of(lambda: found.make_folder("/run/.crmsh_lock_directory", 8)) == errno.EEXIST
    assert number_of(lambda: found.make_folder("/etc/x", 8)) == errno.EACCES
    assert found.entry("/run/.crmsh_lock_directory").modified == 7
    found.remove_folder("/run/.crmsh_lock_directory")
    assert number_of(lambda: found.remove_folder("/run/.crmsh_lock_directory")) == errno.ENOENT
    assert number_of(lambda: found.remove_folder("/tmp")) == errno.EACCES

    def many() -> None:
        for number in range(FOLDERS_MAX + 1):
            found.make_folder(f"/run/{number}", 0)

    assert number_of(many) == errno.EDQUOT


def test_names_change() -> None:
    found = tree()
    put(found, "/tmp/a", b"a")
    put(found, "/tmp/b", b"b")
    assert number_of(lambda: found.rename("/tmp/a", "/tmp/b", over=False)) == errno.EEXIST
    assert number_of(lambda: found.rename("/tmp/a", AUTHORITY, over=True)) == errno.EEXIST
    assert number_of(lambda: found.rename(AUTHORITY, "/tmp/c", over=True)) == errno.EACCES
    assert number_of(lambda: found.rename("/tmp/a", "/etc/c", over=True)) == errno.EACCES
    found.rename("/tmp/a", "/tmp/b", over=True)
    assert found.read("/tmp/b") == b"a"
    assert not found.is_file("/tmp/a")
