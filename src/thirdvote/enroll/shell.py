"""The commands that programs send over SSH, told apart. Pure; nothing here is a shell, and none is started.

Three things are understood: the snippet with which ssh-copy-id (or crmsh, or a person) leaves a public key; a script on standard
input for `/bin/sh` or `/bin/bash`, which is how crmsh sends its commands; and simple commands joined by `&&`, `||` and `;`,
with their output thrown away at most. Everything else is refused with a sentence.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from thirdvote.errors import UserError

COMMAND_LENGTH_MAX = 8_192
"""Characters; ssh-copy-id's snippet has about 800."""

SCRIPT_BYTES_MAX = 16_384
STEPS_MAX = 16

SHELLS = frozenset({"/bin/sh", "/bin/bash", "/usr/bin/bash", "/usr/bin/sh", "sh", "bash"})
JOINTS = frozenset({"&&", "||", ";"})

_REDIRECTION = re.compile(r"\s(?:[12]?>\s*/dev/null|2>&1|&>\s*/dev/null)(?=\s|;|$)")
_SPECIAL = re.compile(r"[`$<>|&(){}\n\r]|(?<![^\s;])[#!]")

_SAVES_KEYS = re.compile(
    r"""(?:exec\ sh\ -c\ ')?
        [^']*              # cd, umask, mkdir, and what is asked of the file: nothing of it changes where the keys go
        \bcat\ ?>>?\ ?     # what all of them have in common
        (?:"?[~./\w]*\.ssh/authorized_keys"?|"\$\{?AUTH_KEY_FILE\}?")(?=[\s;]|$)
        [^']*'?""",
    re.VERBOSE,
)
"""The snippet of ssh-copy-id as OpenSSH 6 to 10 have it, and of the manuals that do without: keys come on standard input."""

_WRITES_KEY = re.compile(r"if ! grep -F '(?P<key>[^']+)' ~?[./\w]*/?\.ssh/authorized_keys\b.*\bfi", re.DOTALL)
"""How crmsh leaves the key of another node: it is in the script itself."""


@dataclass(frozen=True, slots=True)
class SaveKeys:
    """`text` is None where they come on standard input."""

    text: str | None = None


@dataclass(frozen=True, slots=True)
class ReadScript:
    """The command comes on standard input."""


@dataclass(frozen=True, slots=True)
class Step:
    """`joint` is how it hangs on the step before: it is carried out after `&&` if that was well, after `||` if not."""

    joint: str
    words: tuple[str, ...]


Command = SaveKeys | ReadScript | tuple[Step, ...]


def understand(command: str) -> Command:
    """UserError for what is none of ours."""
    if len(command) > COMMAND_LENGTH_MAX:
        raise UserError(f"the command has more than {COMMAND_LENGTH_MAX} characters", HINT)
    text = command.strip()
    flat = " ".join(text.split())
    if flat in SHELLS:
        return ReadScript()
    written = _WRITES_KEY.fullmatch(text)
    if written is not None:
        return SaveKeys(f"{written['key']}\n")
    if _SAVES_KEYS.fullmatch(flat):
        return SaveKeys()
    return _steps(text)


HINT = "this is no shell: it answers what `pvecm qdevice setup`, corosync-qdevice-net-certutil -Q, crmsh and ssh-copy-id ask for"


def _steps(text: str) -> tuple[Step, ...]:
    one_line = " ; ".join(line for line in text.splitlines() if line.strip())
    plain = _REDIRECTION.sub(" ", f" {one_line}").strip()
    quoteless = re.sub(r"'[^']*'|\"[^\"$`\\]*\"", "''", plain)
    if _SPECIAL.search(quoteless.replace("&&", "").replace("||", "")):
        raise UserError(f"this command is not known here: {shown(text)}", HINT)
    try:
        lexer = shlex.shlex(plain, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        lexer.commenters = ""
        tokens = list(lexer)
    except ValueError:
        raise UserError(f"a quote of this command has no end: {shown(text)}", HINT) from None
    return _joined(tokens, text)


def _joined(tokens: list[str], text: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    joint, words = ";", []
    for word in [*tokens, ";"]:
        if word not in JOINTS:
            words.append(word)
            continue
        if words:
            steps.append(Step(joint, tuple(words)))
        elif word in ("&&", "||"):
            raise UserError(f"this command is not known here: {shown(text)}", HINT)
        joint, words = word, []
    if not 0 < len(steps) <= STEPS_MAX:
        raise UserError("there is no command in this" if not steps else f"more than {STEPS_MAX} commands at once", HINT)
    return tuple(steps)


def shown(text: str) -> str:
    """On one line, not for ever, and nothing in it that a terminal obeys."""
    short = text if len(text) <= 100 else f"{text[:97]}..."
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short) + "'"
