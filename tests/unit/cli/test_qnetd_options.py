from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import fields

import pytest

from thirdvote.cli.qnetd_options import ADVANCED, LOCAL_SOCKET_FILE, LOCK_FILE, USAGE, VERSION, Ended, parse
from thirdvote.config import Limits, Settings
from thirdvote.domain import TlsSupport

STOCK = shutil.which("corosync-qnetd", path="/usr/sbin:/usr/bin")


def ended(*arguments: str) -> Ended:
    with pytest.raises(Ended) as caught:
        parse(arguments)
    return caught.value


def settings(*arguments: str) -> Settings:
    return parse(arguments).over(Settings())


def test_nothing_changes_nothing() -> None:
    line = parse([])
    assert (line.foreground, line.lock_file, line.local_socket) == (False, LOCK_FILE, LOCAL_SOCKET_FILE)
    assert line.over(Settings()) == Settings()


def test_options() -> None:
    found = settings("-4", "-d", "-d", "-l", "192.0.2.1", "-p", "5404", "-s", "req", "-c", "off", "-m", "7")
    assert found == Settings(
        listen_family=4,
        log_level="debug",
        listen_host="192.0.2.1",
        listen_port=5404,
        tls=TlsSupport.REQUIRED,
        client_certificate=False,
        max_clients=7,
    )
    assert settings("-4", "-6").listen_family == 6
    assert parse(["-f"]).foreground


@pytest.mark.parametrize(
    ("word", "tls"),
    [
        ("on", TlsSupport.SUPPORTED),
        ("OFF", TlsSupport.UNSUPPORTED),
        ("Req", TlsSupport.REQUIRED),
        ("required", TlsSupport.REQUIRED),
    ],
)
def test_tls_takes_the_word_that_the_manual_names_too(word: str, tls: TlsSupport) -> None:
    """S35: the stock server refuses `required`."""
    assert settings("-s", word).tls is tls


def test_advanced_settings_arrive() -> None:
    text = (
        "listen_backlog=1,max_client_send_buffers=2,MAX_CLIENT_SEND_SIZE=16,max_client_receive_size=17,nss_db_dir=/n,cert_nickname=C,"
        "heartbeat_interval_min=3,heartbeat_interval_max=4,dpd_enabled=no,dpd_interval_coefficient=2.5,lock_file=/l,local_socket_file=/s,"
        "local_socket_umask=0117,local_socket_gid=5,local_socket_backlog=6,ipc_max_clients=0,ipc_max_receive_size=1024,"
        "ipc_max_send_size=1025,keep_active_partition_tie_breaker=Yes"
    )
    line = parse(["-S", text])
    assert line.lock_file == "/l"
    assert line.over(Settings()) == Settings(
        certificates="/n",
        certificate_nickname="C",
        qnetd_socket="/s",
        qnetd_socket_umask=0o117,
        qnetd_socket_group=5,
        keep_active_partition=True,
        limits=Limits(
            listen_backlog=1,
            send_buffers=2,
            send_size=16,
            receive_size=17,
            heartbeat_ms_min=3,
            heartbeat_ms_max=4,
            dead_peer_enabled=False,
            dead_peer_coefficient=2.5,
            ipc_backlog=6,
            ipc_clients=0,
            ipc_receive_size=1_024,
            ipc_send_size=1_025,
        ),
    )


def test_every_advanced_setting_has_a_place() -> None:
    places = {field.name for field in fields(Settings)} | {f"limits.{field.name}" for field in fields(Limits)} | {"lock_file"}
    assert {advanced.target for advanced in ADVANCED.values()} <= places


def test_settings_may_be_repeated_and_an_empty_name_ends_the_list() -> None:
    line = parse(["-S", "listen_backlog=1,lock_file=/a", "-S", "lock_file=/b,,nothing=1", "-S", ""])
    assert (line.limits, line.lock_file) == ({"listen_backlog": 1}, "/b")
    assert settings("-S", "local_socket_gid=-1").qnetd_socket_group is None


def test_what_has_no_effect_any_more_is_a_warning() -> None:
    assert parse(["-S", "dpd_interval=5"]).warnings == ("corosync-qnetd: Option 'dpd_interval' is deprecated and has no effect anymore\n",)


def test_help_and_version() -> None:
    assert (ended("-h", "-v").output, ended("-v", "-h").output) == (USAGE, VERSION)


def test_numbers_that_only_look_like_some() -> None:
    for value in ("1_0", "٣", "9" * 31, "1.0", "--1", " "):
        assert ended("-m", value).error == f"corosync-qnetd: max clients value {value} is invalid\n"


LINES: Sequence[Sequence[str]] = [
    ["-v"], ["-h"], ["-v", "-x"], ["-x", "-v"], ["-h", "-v"], ["--version"], ["-p"], ["word", "-v"],
    ["-p", "0", "-v"], ["-p", "65536", "-v"], ["-p", " 12", "-v"], ["-p", "0x10", "-v"], ["-p", "", "-v"], ["-p", "12x", "-v"],
    ["-s", "maybe", "-v"], ["-s", "REQ", "-v"], ["-s", "", "-v"], ["-c", "YES", "-v"], ["-c", "Yes1", "-v"], ["-c", "0", "-v"],
    ["-m", "x", "-v"], ["-m", "-1", "-v"], ["-m", "", "-v"], ["-m", "+1", "-v"], ["-m", "4294967296", "-v"], ["-m", "-v"],
    ["-l", "", "-v"], ["-46dfv"], ["-fvx"],
    *(
        ["-S", text, "-v"]
        for text in (
            "", ",", "foo", "foo=1", " listen_backlog=5", "listen_backlog= 5", "listen_backlog", "listen_backlog=", "LISTEN_backlog=0",
            "listen_backlog=5abc", "listen_backlog=0x10", "listen_backlog=2147483647", "listen_backlog=2147483648",
            "listen_backlog=5,,foo=1", "dpd_interval=3", "dpd_interval_coefficient=0.5", "dpd_interval_coefficient=1e1",
            "dpd_interval_coefficient=1001", "dpd_interval_coefficient=1.5abc", "dpd_enabled=YES", "dpd_enabled=maybe", "nss_db_dir=",
            "cert_nickname=", "lock_file=", "heartbeat_interval_min=0", "heartbeat_interval_min=4294967295",
            "heartbeat_interval_min=4294967296", "max_client_send_buffers=1", "max_client_send_size=15",
            "max_client_send_size=4294967296", "ipc_max_receive_size=1023", "ipc_max_clients=-1", "ipc_max_clients=0",
            "keep_active_partition_tie_breaker=2", "local_socket_backlog=0", "listen_backlog=5=6",
        )
    ),
]  # fmt: skip


@pytest.mark.stock
@pytest.mark.skipif(STOCK is None, reason="Debian's corosync-qnetd is not installed")
@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line))
def test_the_stock_program_says_the_same(line: Sequence[str]) -> None:
    """Each line ends the program before it would run."""
    assert STOCK is not None
    assert any(re.match("-[0-9a-z]*v", word) for word in line) or line[-1] in ("-h", "--version", "-p")
    ran = subprocess.run([STOCK, *line], capture_output=True, text=True, check=False, timeout=20)
    ours = ended(*line)
    stock_error = ran.stderr.replace(f"{STOCK}: ", "corosync-qnetd: ")
    assert (ours.output, ours.error, 1) == (ran.stdout, stock_error, ran.returncode)
