from __future__ import annotations

import pytest

from thirdvote.enroll.shell import COMMAND_LENGTH_MAX, STEPS_MAX, ReadScript, SaveKeys, Step, shown, understand
from thirdvote.errors import UserError

OPENSSH_8_4 = (
    "exec sh -c 'cd ; umask 077 ; mkdir -p .ssh && { [ -z `tail -1c .ssh/authorized_keys 2>/dev/null` ] || echo >> "
    ".ssh/authorized_keys || exit 1 ; } && cat >> .ssh/authorized_keys || exit 1 ; if type restorecon >/dev/null 2>&1 ; then "
    "restorecon -F .ssh .ssh/authorized_keys ; fi'"
)
OPENSSH_9_2 = (
    'exec sh -c \'cd ; umask 077 ; mkdir -p ".ssh" && { [ -z `tail -1c .ssh/authorized_keys 2>/dev/null` ] || echo >> '
    '".ssh/authorized_keys" || exit 1 ; } && cat >> ".ssh/authorized_keys" || exit 1 ; if type restorecon >/dev/null 2>&1 ; then '
    'restorecon -F ".ssh" ".ssh/authorized_keys" ; fi\''
)
OPENSSH_10 = (
    'exec sh -c \'cd; umask 077; AUTH_KEY_FILE=".ssh/authorized_keys"; [ -f /etc/openwrt_release ] && { [ "$LOGNAME" = "root" ] || '
    '[ "$(id -u)" = "0" ]; } && AUTH_KEY_FILE=/etc/dropbear/authorized_keys; [ "`uname -s`" = "Haiku" ] && '
    'AUTH_KEY_FILE=config/settings/ssh/authorized_keys; AUTH_KEY_DIR=`dirname "${AUTH_KEY_FILE}"`; mkdir -p "${AUTH_KEY_DIR}" && '
    '{ [ -z "`tail -1c "${AUTH_KEY_FILE}" 2>/dev/null`" ] || echo >> "${AUTH_KEY_FILE}" || exit 1; } && cat >> "${AUTH_KEY_FILE}" || '
    'exit 1; if type restorecon >/dev/null 2>&1; then restorecon -F "${AUTH_KEY_DIR}" "${AUTH_KEY_FILE}"; fi \''
)
"""As the shells of these versions' scripts put them together."""


@pytest.mark.parametrize(
    "command",
    [
        OPENSSH_8_4,
        OPENSSH_9_2,
        OPENSSH_10,
        "umask 077; test -d .ssh || mkdir .ssh ; cat >> .ssh/authorized_keys",
        "mkdir -p ~/.ssh && cat >> ~/.ssh/authorized_keys",
        "cat >>/root/.ssh/authorized_keys",
        "cat > .ssh/authorized_keys",
    ],
)
def test_keys_that_come_on_standard_input(command: str) -> None:
    assert understand(command) == SaveKeys()


def test_a_key_that_is_in_the_script_itself() -> None:
    """As crmsh leaves the keys of a cluster's other nodes."""
    script = (
        "if ! grep -F 'ssh-ed25519 AAAA node2' ~root/.ssh/authorized_keys > /dev/null; then\n"
        "    if [ -s ~root/.ssh/authorized_keys ]; then\n        sed -i '$a ssh-ed25519 AAAA node2' ~root/.ssh/authorized_keys\n"
        "    else\n        mkdir -p ~root/.ssh\n        echo 'ssh-ed25519 AAAA node2' > ~root/.ssh/authorized_keys\n    fi\nfi"
    )
    assert understand(script) == SaveKeys("ssh-ed25519 AAAA node2\n")


@pytest.mark.parametrize("command", ["/bin/bash", "/bin/sh", " /bin/bash ", "bash"])
def test_a_script_that_comes_on_standard_input(command: str) -> None:
    assert understand(command) == ReadScript()


@pytest.mark.parametrize(
    ("command", "steps"),
    [
        ("exit", (Step(";", ("exit",)),)),
        ("certutil -s -c '/tmp/a' -n \"my cluster\"", (Step(";", ("certutil", "-s", "-c", "/tmp/a", "-n", "my cluster")),)),
        ("test -f a && rm -f a", (Step(";", ("test", "-f", "a")), Step("&&", ("rm", "-f", "a")))),
        ("a || b; c", (Step(";", ("a",)), Step("||", ("b",)), Step(";", ("c",)))),
        ("a\nb\n", (Step(";", ("a",)), Step(";", ("b",)))),
        ("a >/dev/null 2>&1", (Step(";", ("a",)),)),
        ("a 2> /dev/null; b &>/dev/null", (Step(";", ("a",)), Step(";", ("b",)))),
        ("a '&& b; `c`' \"d\"", (Step(";", ("a", "&& b; `c`", "d")),)),
        ("a '' b", (Step(";", ("a", "", "b")),)),
        ("mkdir 'x y'", (Step(";", ("mkdir", "x y")),)),
        ("a;", (Step(";", ("a",)),)),
    ],
)  # fmt: skip
def test_simple_commands(command: str, steps: tuple[Step, ...]) -> None:
    assert understand(command) == steps


@pytest.mark.parametrize(
    "command",
    [
        "cat /etc/passwd | sh",
        "echo $HOME",
        'echo "$HOME"',
        "`reboot`",
        "$(reboot)",
        "a > /tmp/b",
        "a >> b",
        "a < b",
        "a & b",
        "a &",
        "(a)",
        "{ a; }",
        "a # b",
        "! a",
        "&& a",
        "a && && b",
        "|| a",
        "cat >> .ssh/authorized_keys.other",
        "cat >> /etc/passwd",
    ],
)
def test_what_only_a_shell_could_do(command: str) -> None:
    with pytest.raises(UserError, match="this command is not known here"):
        understand(command)


def test_what_is_no_command() -> None:
    for command in ("", "  ", ";", "\n"):
        with pytest.raises(UserError, match="there is no command"):
            understand(command)
    with pytest.raises(UserError, match="a quote of this command has no end"):
        understand("a 'b")


def test_too_much_at_once() -> None:
    with pytest.raises(UserError, match="characters"):
        understand("a" * (COMMAND_LENGTH_MAX + 1))
    with pytest.raises(UserError, match="commands at once"):
        understand("a;" * (STEPS_MAX + 1))


def test_what_is_shown_of_a_command() -> None:
    assert shown("a\x1b[31m\n") == r"'a\x1b[31m\n'"
    assert len(shown("a" * 1_000)) == 102
