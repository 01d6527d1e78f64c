from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from thirdvote.cli.main import COMMANDS, NAME_WIDTH, main, thirdvote
from thirdvote.errors import UsageError


def nothing(settings: object, reload: object) -> None:
    raise AssertionError


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS[name].load()
    assert command.name == name
    assert main([name, "--help"], nothing) == 0
    assert f"Usage: thirdvote {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_the_voice_of_summaries(name: str) -> None:
    summary = COMMANDS[name].summary
    assert summary[0].islower()
    assert not summary.endswith(".")
    assert len(name) <= NAME_WIDTH


def test_every_list_or_status_has_json() -> None:
    lists = ("config", "status", "clusters", "watch")
    assert [name for name in lists if not any("--json" in parameter.opts for parameter in COMMANDS[name].load().params)] == []


def test_without_a_command_it_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], nothing) == 0
    shown = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in shown] == []


def test_a_command_that_is_none_has_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        main(["cluster"], nothing)
    assert (str(caught.value), caught.value.hint) == ("no such command 'cluster'", "did you mean `thirdvote clusters`?")


@pytest.mark.parametrize("arguments", [["status", "--nothing"], ["compat"], ["completion", "csh"], ["clusters", "a", "b"], ["--nothing"]])
def test_usage_errors_have_our_voice(arguments: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        main(arguments, nothing)
    assert str(caught.value)[0].islower()
    assert not str(caught.value).endswith(".")
    assert caught.value.hint


def test_what_click_puts_on_lines_of_their_own_is_one_line() -> None:
    with pytest.raises(UsageError) as caught:
        main(["completion"], nothing)
    assert (str(caught.value), caught.value.hint) == ("missing argument 'bash|zsh|fish'", "choose from: bash, zsh, fish")


def test_a_shell_completes_commands_options_and_values() -> None:
    assert {item.value for item in _completions([], "cl")} == {"clusters"}
    assert "--tls" in {item.value for item in _completions(["serve"], "--")}
    assert {item.value for item in _completions(["serve", "--tls"], "o")} == {"on", "off"}
    assert {item.value for item in _completions(["watch", "--level"], "")} == {"debug", "info", "warning", "error"}


def _completions(arguments: list[str], incomplete: str) -> list[click.shell_completion.CompletionItem]:
    return click.shell_completion.ShellComplete(thirdvote, {}, "thirdvote", "_THIRDVOTE_COMPLETE").get_completions(arguments, incomplete)


def test_completion_works_from_a_shell() -> None:
    environment = {
        "_THIRDVOTE_COMPLETE": "bash_complete",
        "COMP_WORDS": "thirdvote sta",
        "COMP_CWORD": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    ran = subprocess.run([sys.executable, "-m", "thirdvote"], env=environment, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("plain,status\n", "")
