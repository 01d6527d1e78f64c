from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from thirdvote.backup import archive, sealed
from thirdvote.backup.content import Part
from thirdvote.errors import UserError

NOW = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)


def part(name: str, content: bytes, mode: int = 0o600) -> Part:
    return Part(name, mode, len(content), io.BytesIO(content))


PARTS = {"pki/ca.key": b"key", "pki/ca.crt": b"certificate", "history.db": b"h" * 200_000}


def made(passphrase: str | None = None, files: dict[str, bytes] | None = None) -> bytes:
    target = io.BytesIO()
    chosen = PARTS if files is None else files
    assert archive.write(target, [part(name, content) for name, content in chosen.items()], passphrase, NOW) == len(chosen)
    return target.getvalue()


def extracted(data: bytes, folder: Path, passphrase: str = "") -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    archive.extract(io.BytesIO(data), folder, lambda: passphrase)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_what_goes_in_comes_out(tmp_path: Path, passphrase: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sealed.COST, "n", 2)
    assert extracted(made(passphrase), tmp_path / "new", passphrase or "") == PARTS
    assert (tmp_path / "new" / "pki" / "ca.key").stat().st_mode & 0o777 == 0o600


def test_the_same_content_gives_the_same_file() -> None:
    assert made() == made()


def test_without_a_passphrase_any_tar_opens_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(made())) as opened:
        names = opened.getnames()
        manifest = json.load(opened.extractfile(archive.MANIFEST) or io.BytesIO())
    assert names == [*PARTS, archive.MANIFEST]
    assert manifest["files"]["pki/ca.key"] == hashlib.sha256(b"key").hexdigest()
    assert manifest["made_at"] == "2026-11-25T16:00:00+00:00"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_one_that_is_cut_off_is_known_as_such(tmp_path: Path, share: float) -> None:
    data = made()
    with pytest.raises(UserError) as refused:
        extracted(data[: int(share * len(data))], tmp_path / "new")
    assert refused.value.hint


def packed(*entries: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, manifest: dict[str, object] | None = None) -> bytes:
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb") as compressed, tarfile.open(fileobj=compressed, mode="w|") as opened:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size, entry.type, entry.linkname = len(content) if kind == tarfile.REGTYPE else 0, kind, "/etc/passwd"
            opened.addfile(entry, io.BytesIO(content))
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in entries}
        text = json.dumps(manifest or {"form": 1, "files": hashes, "made_by": "x", "made_at": "y"}).encode()
        entry = tarfile.TarInfo(archive.MANIFEST)
        entry.size = len(text)
        opened.addfile(entry, io.BytesIO(text))
    return target.getvalue()


@pytest.mark.parametrize(
    "name", ["../etc/passwd", "/etc/passwd", "pki/../../x", "pki/.hidden", "pki/a/b", "pki", "ledger.db", "other", "pki/x\n", "PKI/x"]
)
def test_nothing_gets_to_another_place(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="has a file in it that is not known"):
        extracted(packed((name, b"x")), tmp_path / "new")
    assert list(tmp_path.rglob("*")) == [tmp_path / "new"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_nothing_but_files(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(UserError, match=r"that is no file|is not known"):
        extracted(packed(("pki/ca.key", b""), kind=kind), tmp_path / "new")


def test_the_same_file_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not known"):
        extracted(packed(("pki/ca.key", b"1"), ("pki/ca.key", b"2")), tmp_path / "new")


def test_files_that_are_not_those_of_the_manifest(tmp_path: Path) -> None:
    other = {"form": 1, "files": {"pki/ca.key": hashlib.sha256(b"other").hexdigest()}, "made_by": "x", "made_at": "y"}
    with pytest.raises(UserError, match="the backup is damaged"):
        extracted(packed(("pki/ca.key", b"1"), manifest=other), tmp_path / "new")


def test_a_newer_version(tmp_path: Path) -> None:
    newer: dict[str, object] = {"form": 2, "files": {}, "made_by": "thirdvote 9.0"}
    with pytest.raises(UserError, match=r"of a newer version, 'thirdvote 9\.0'"):
        extracted(packed(manifest=newer), tmp_path / "new")


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"PK\3\4" + bytes(100), b"\x1f\x8b" + bytes(100)])
def test_what_is_no_backup(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UserError):
        extracted(data, tmp_path / "new")
