"""What a package has beside the program, made from the program itself: man page, completions, and the settings file with every default.

Usage: python scripts/package_files.py FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from thirdvote import __version__
from thirdvote.cli.main import COMMANDS, thirdvote
from thirdvote.config import Settings
from thirdvote.config_options import OPTIONS

NAME = "thirdvote"
SHELLS = ("bash", "zsh", "fish")

SETTINGS_HEAD = """\
# Settings of the arbitrator, in TOML. A line that begins with # is the default; take the # away to change it.
# The service reads this file, and so do the commands of root. `thirdvote config` shows what is in force, and
# /usr/share/doc/thirdvote/docs/configuration.md has all of it: limits, and what single clusters can have of their own.
# A running service takes over what it can with `systemctl reload thirdvote`, and says in its log what needs a restart.
"""

FILES = (
    ("/etc/thirdvote/thirdvote.toml", "settings of the service, read by the commands of root too"),
    ("/var/lib/thirdvote", "data of the service: certificates (pki), ledger.db, history.db, the control socket"),
    ("~/.local/share/thirdvote", "data of an arbitrator that is started by another user than root"),
)

ENVIRONMENT = (
    ("THIRDVOTE_...", "every setting, its name in capitals, with _ for -: THIRDVOTE_LOG_LEVEL"),
    ("THIRDVOTE_CONFIG", "the settings file; empty for none"),
    ("THIRDVOTE_DEBUG", "set to 1: a fault of the program is shown with its traceback"),
    ("NO_COLOR", "no colours on a terminal"),
)

STATUSES = (
    ("0", "done"),
    ("1", "something is wrong that a person has to mend; the message says how"),
    ("2", "the command line, a variable or the settings file is wrong"),
    ("70", "a fault of the program"),
    ("75", "the start has failed for what may pass, as an address that this host does not have yet"),
)


# ---- the settings file


def settings_file() -> str:
    """Every setting commented out, with its default; where there is none, with the word that stands for what it may be."""
    lines = [SETTINGS_HEAD]
    for option in OPTIONS:
        value = "/var/lib/thirdvote" if option.name == "data" else option.value(Settings())
        shown = value if value.isdigit() else f'"{value or option.metavar}"'
        lines += [f"# {option.help} ({option.metavar})", f"#{option.name} = {shown}", ""]
    return "\n".join([*lines, '#[clusters."mycluster"]', '#handover = "fast"', ""])


# ---- the man page


def man_page() -> str:
    context = click.Context(thirdvote, info_name=NAME)
    lines = [f'.TH THIRDVOTE 1 "" "thirdvote {__version__}" "User Commands"', ".SH NAME", f"{NAME} \\- {_text(_sentence(thirdvote))}"]
    lines += [".SH SYNOPSIS", ".B thirdvote", "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]..."]
    lines += [
        ".SH DESCRIPTION",
        "Commands take \\fB\\-h\\fR and \\fB\\-\\-help\\fR, and most that show something \\fB\\-\\-json\\fR.",
        ".PP",
    ]
    lines += ["All of the documentation is in /usr/share/doc/thirdvote/docs."]
    for group in dict.fromkeys(entry.group for entry in COMMANDS.values()):
        lines += [f'.SH "{_text(group.upper())}"']
        for name, entry in COMMANDS.items():
            if entry.group == group:
                lines += _command(entry.load(), click.Context(entry.load(), info_name=name, parent=context))
    for title, rows in (("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT), ("EXIT STATUS", STATUSES)):
        lines += [f".SH {title}"]
        lines += [line for name, text in rows for line in (".TP", f".B {_text(name)}", _text(text))]
    return "\n".join([*lines, ".SH SEE ALSO", ".BR corosync.conf (5),", ".BR corosync\\-qdevice (8),", ".BR corosync\\-qnetd (8)", ""])


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    """One command, and below it those that it has."""
    yield f'.SS "{_text(context.command_path)} {_text(" ".join(command.collect_usage_pieces(context)))}"'
    yield from _help(command.help or "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in record[0]:
            yield from (".TP", f".B {_text(record[0])}", _text(record[1]))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, "it is in its own list"
            yield from _command(found, click.Context(found, info_name=name, parent=context))


def _help(text: str) -> Iterator[str]:
    """click's paragraphs; the ones behind \\b stay as they are."""
    for paragraph in text.split("\n\n"):
        lines = paragraph.splitlines()
        if lines and lines[0].strip() == "\b":
            yield from (".PP", ".nf", *map(_text, lines[1:]), ".fi")
        else:
            yield from (".PP", _text(" ".join(line.strip() for line in lines)))


def _sentence(command: click.Command) -> str:
    return " ".join((command.help or "").split("\n\n")[0].split())


def _text(text: str) -> str:
    """For troff: nothing in it that it obeys, and hyphens that can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


# ---- completions


def completion(shell: str) -> str:
    found = get_completion_class(shell)
    assert found is not None, "click has all three"
    return f"{found(thirdvote, {}, NAME, '_THIRDVOTE_COMPLETE').source()}\n"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    made = {"thirdvote.1": man_page(), "thirdvote.toml": settings_file()} | {f"{NAME}.{shell}": completion(shell) for shell in SHELLS}
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
