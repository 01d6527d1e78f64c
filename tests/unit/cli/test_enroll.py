from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.enrolment_process import EnrolmentProcess, enrolment_process
from tests.https_here import HttpsHere, https_here
from thirdvote import join_url
from thirdvote.cli.enroll import _commands, seconds
from thirdvote.cli.main import main
from thirdvote.errors import UsageError, UserError


@pytest.fixture(scope="module")
def enrolment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnrolmentProcess]:
    with enrolment_process(tmp_path_factory.mktemp("enroll")) as process:
        yield process


@pytest.fixture(autouse=True)
def _closed(enrolment: EnrolmentProcess) -> None:
    enrolment.ask("close")


def enroll(data: Path, *arguments: str) -> int:
    return main(["enroll", *arguments, "--data", str(data)], lambda settings, reload: None)


def test_open_shows_what_a_person_needs(enrolment: EnrolmentProcess, capsys: pytest.CaptureFixture[str]) -> None:
    assert enroll(enrolment.data, "open") == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"open until \d\d:\d\d:\d\d, for the first cluster that comes", first)
    assert re.fullmatch(r"  password  (\w{4}-){3}\w{4}", lines[0])
    assert lines[1] == f"  address   127.0.0.1, port {enrolment.port}"
    assert re.fullmatch(r"  host key  SHA256:\S{43} \(ED25519\)", lines[2])
    assert re.fullmatch(r"  host key  SHA256:\S{43} \(ECDSA\)", lines[3])
    assert lines[5:8] == [
        "on a node of Proxmox VE, as root:",
        f"  printf 'Host 127.0.0.1\\n    Port {enrolment.port}\\n' >> ~/.ssh/config",
        "  pvecm qdevice setup 127.0.0.1",
    ]
    assert f"  ssh-copy-id -p {enrolment.port} root@127.0.0.1" in lines
    assert lines[-1] == "it closes by itself when a cluster has fetched its certificate; `thirdvote enroll close` closes it now"


def test_open_for_programs(enrolment: EnrolmentProcess, capsys: pytest.CaptureFixture[str]) -> None:
    assert enroll(enrolment.data, "open", "--json", "--for", "90s", "--cluster", "web", "--replace") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.keys() == {"window", "password", "address", "port", "host_keys"}
    assert (answer["window"]["cluster"], answer["window"]["replace"]) == ("web", True)


def test_a_cluster_with_an_odd_name_can_be_typed(enrolment: EnrolmentProcess, capsys: pytest.CaptureFixture[str]) -> None:
    assert enroll(enrolment.data, "open", "--cluster", "bob's lab") == 0
    shown = capsys.readouterr().out
    assert ", for the cluster bob's lab\n" in shown
    assert r"-n 'bob'\''s lab' 127.0.0.1" in shown


def test_at_the_port_of_ssh_nothing_has_to_be_said_of_it() -> None:
    (_, proxmox), (_, other) = _commands("192.0.2.1", 22, None)
    assert proxmox == ["pvecm qdevice setup 192.0.2.1"]
    assert other == ["ssh-copy-id root@192.0.2.1", "corosync-qdevice-net-certutil -Q -n CLUSTER 192.0.2.1 NODE1 NODE2"]


def test_close_and_status(enrolment: EnrolmentProcess, capsys: pytest.CaptureFixture[str]) -> None:
    enroll(enrolment.data, "status")
    assert "closed: `thirdvote enroll open` opens a window" in capsys.readouterr().out
    number = enrolment.ask("open", cluster="web")["window"]["window"]
    enrolment.ask("open")
    enroll(enrolment.data, "status")
    shown = capsys.readouterr().out
    assert re.search(rf"^window {number} is open until \d\d:\d\d:\d\d, for web; certificates signed: 0$", shown, re.MULTILINE)
    assert re.search(r"^window \d+ is open until \d\d:\d\d:\d\d, for the first cluster that comes; ", shown, re.MULTILINE)
    assert re.search(rf"^listening +127\.0\.0\.1:{enrolment.port}$", shown, re.MULTILINE)
    enroll(enrolment.data, "close", str(number))
    enroll(enrolment.data, "close")
    enroll(enrolment.data, "close")
    assert capsys.readouterr().out == "1 window closed\n1 window closed\nno window was open\n"
    with pytest.raises(UserError, match="there is no such window"):
        enroll(enrolment.data, "close", "--cluster", "web")
    enroll(enrolment.data, "status", "--json")
    assert json.loads(capsys.readouterr().out)["ssh"]["windows"] == []


def test_a_window_without_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with enrolment_process(tmp_path, password="a password of ours", always=True) as process:
        enroll(process.data, "status")
        assert "open all the time, for any cluster that has the password (enroll-always)" in capsys.readouterr().out
        enroll(process.data, "open")
        assert "  password  as set (enroll-password)\n" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "found"), [("90s", 90), ("15m", 900), ("15min", 900), ("2h", 7_200), ("2H", 7_200), ("45", 45)])
def test_times(text: str, found: int) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "m", "-1m", "1.5h", "1d", "1h30m", "9999999s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        seconds(text)


def test_without_an_enrolment(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no enrolment is running here") as caught:
        enroll(tmp_path, "open")
    assert "thirdvote serve" in str(caught.value.hint)


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsHere]:
    """The service that makes tokens, asked without a control socket."""
    with https_here(tmp_path) as here:

        class Client:
            def __enter__(self) -> Client:
                return self

            def __exit__(self, *_: object) -> None:
                return None

            def request(self, request: dict[str, object]) -> dict[str, object]:
                if request["command"] == "status":
                    return {"status": {"https": {**here.service.status(), "problem": None}}}
                return here.run(here.service.commands()["token"](request))  # type: ignore[arg-type]

        monkeypatch.setattr("thirdvote.cli.enroll.enroll_client", lambda parameters: Client())
        yield here


def test_a_token_shows_what_to_type_and_until_when(https: HttpsHere, capsys: pytest.CaptureFixture[str]) -> None:
    assert enroll(https.data, "token", "office", "--for", "2h") == 0
    first, _, title, command, *lines = capsys.readouterr().out.splitlines()
    times = re.fullmatch(r"good from (\S+ \S+) until (\S+ \S+), once, for the cluster office", first)
    assert times is not None
    since, until = (datetime.strptime(text, "%Y-%m-%d %H:%M:%S") for text in times.groups())
    assert until - since == timedelta(hours=2)
    assert title == "on a node of the cluster, as root:"
    url = join_url.parse(command.removeprefix("  thirdvote join "))
    assert (url.host, url.port) == ("127.0.0.1", https.port)
    assert f"  thirdvote setup NODE1 NODE2 --token {url.text}" in lines
    assert enroll(https.data, "status") == 0
    assert "1 token open" in capsys.readouterr().out


def test_a_token_for_programs(https: HttpsHere, capsys: pytest.CaptureFixture[str]) -> None:
    assert enroll(https.data, "token", "office", "--json", "--replace") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["cluster"], answer["replace"], answer["address_guessed"]) == ("office", True, False)
    assert join_url.parse(answer["url"]).port == https.port


def test_a_token_that_can_not_be(https: HttpsHere) -> None:
    with pytest.raises(UserError, match="can not be good for"):
        enroll(https.data, "token", "office", "--for", "10s")
    with pytest.raises(UserError, match="asterisk"):
        enroll(https.data, "token", "a*")
