from __future__ import annotations

import socket
from pathlib import Path

import pytest

from thirdvote.errors import UserError
from thirdvote.net.local_socket import open_local_socket, remove_local_socket


def test_it_has_its_mode_from_the_start_and_goes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listening = open_local_socket(path, 0o600, 1)
    assert path.stat().st_mode & 0o777 == 0o600
    remove_local_socket(listening, path)
    assert not path.exists()


def test_one_that_a_dead_program_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    open_local_socket(path, 0o600, 1).close()
    assert path.exists()
    remove_local_socket(open_local_socket(path, 0o600, 1), path)


def test_one_that_answers_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listening = open_local_socket(path, 0o600, 1)
    with pytest.raises(UserError, match="another program answers on the socket"):
        open_local_socket(path, 0o600, 1)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    remove_local_socket(listening, path)


def test_what_is_not_a_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(UserError, match="exists and is not a socket"):
        open_local_socket(path, 0o600, 1)
    assert path.read_text() == "precious"


def test_a_missing_directory_and_a_long_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"can not make the socket .*no such file"):
        open_local_socket(tmp_path / "missing" / "s", 0o600, 1)
    with pytest.raises(UserError, match="longer than 107 bytes"):
        open_local_socket(tmp_path / ("x" * 108), 0o600, 1)
