"""`thirdvote completion`: the script that makes a shell complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from thirdvote.cli import output
from thirdvote.cli.options import Command

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS), metavar="bash|zsh|fish")
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """print the script with which a shell completes our commands

    \b
    bash   thirdvote completion bash > /etc/bash_completion.d/thirdvote
    zsh    thirdvote completion zsh > "${fpath[1]}/_thirdvote"
    fish   mkdir -p ~/.config/fish/completions
           thirdvote completion fish > ~/.config/fish/completions/thirdvote.fish
    """
    found = get_completion_class(shell)
    assert found is not None, "click has all three"
    root = context.find_root().command
    output.raw(found(root, {}, "thirdvote", "_THIRDVOTE_COMPLETE").source() + "\n")
    return output.OK
