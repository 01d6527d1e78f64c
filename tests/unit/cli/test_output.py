from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from thirdvote.cli import output
from thirdvote.errors import PassingError, UsageError, UserError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fail(error: BaseException) -> int:
    def command() -> int:
        raise error

    return output.run(command)


def test_a_question_is_asked_beside_the_output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("  yes \nmore\n"))
    assert output.can_ask()
    assert output.ask("sure? ") == "yes"
    assert capsys.readouterr() == ("", "sure? ")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert not output.can_ask()
    assert output.ask("sure? ") == ""


def test_an_error_is_two_lines_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(UserError("the port is in use", "take another")) == 1
    assert capsys.readouterr() == ("", "thirdvote: error: the port is in use\nhint: take another\n")


def test_an_error_without_a_hint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(UserError("broken")) == 1
    assert capsys.readouterr().err == "thirdvote: error: broken\n"


def test_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(UsageError("no such option", "see --help")) == 2
    assert "hint: see --help" in capsys.readouterr().err


def test_what_may_pass_has_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(PassingError("not yet", "wait")) == 75
    assert "hint: wait" in capsys.readouterr().err


def test_a_fault_is_no_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THIRDVOTE_DEBUG", raising=False)
    assert fail(ZeroDivisionError("by\nzero")) == 70
    assert capsys.readouterr().err == (
        "thirdvote: error: a fault of the program (ZeroDivisionError: by zero)\n"
        "hint: run it again with THIRDVOTE_DEBUG=1 to see where, and please report it\n"
    )


def test_a_fault_has_its_traceback_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THIRDVOTE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())


def test_an_interrupt_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_goes_away_is_no_fault() -> None:
    code = "from thirdvote.cli import output; import sys; sys.exit(output.run(lambda: [output.line('x' * 999) for _ in range(999)] and 0))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()
    with command.stderr:
        assert command.stderr.read() == b""
    assert command.wait() == 1


def test_plain_output_has_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    output.line("node 1: ", ("vote", output.GOOD), " [bold]as it is[/bold]")
    assert capsys.readouterr().out == "node 1: vote [bold]as it is[/bold]\n"


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output.line(("vote", output.GOOD))
    assert terminal.getvalue() == "\x1b[32mvote\x1b[0m\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    output.line(("vote", output.GOOD))
    assert terminal.getvalue() == "vote\n"


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    output.columns([], indent=2)
    output.columns([("a", ("bbb", output.GOOD), "c"), ("aaa", "b", "")], indent=2)
    assert capsys.readouterr().out == "  a    bbb  c\n  aaa  b\n"


def test_the_last_column_wraps_under_itself_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    output.columns([("name", "some words that wrap")])
    assert [line.rstrip() for line in terminal.getvalue().splitlines()] == ["name  some words", "      that wrap"]


def test_structured_is_json_in_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    output.structured({"é": [1]})
    output.structured_line({"é": [1]})
    assert capsys.readouterr().out == '{\n  "é": [\n    1\n  ]\n}\n{"é": [1]}\n'


def test_raw_is_byte_for_byte(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        output.raw(b"\xff\xc3\xa9\r\n".decode("utf-8", "surrogateescape"))
    assert stdout.buffer.getvalue() == b"\xff\xc3\xa9\r\n"


def test_warning_and_notice_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    output.warning("it is old", "renew it")
    output.notice("watching")
    assert capsys.readouterr() == ("", "thirdvote: warning: it is old\nhint: renew it\nwatching\n")
