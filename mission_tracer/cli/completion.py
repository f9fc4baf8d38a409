"""Complete commands in the shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mission_tracer.cli.command import command


@command(
    'eval "$(mission-tracer completion bash)"                              # in ~/.bashrc',
    'eval "$(mission-tracer completion zsh)"                               # in ~/.zshrc',
    "mission-tracer completion fish > ~/.config/fish/completions/mission-tracer.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print what makes SHELL complete our commands, options and run keys.

    Where RUN is wanted, the keys of this machine's newest runs are offered, each with its mission's name where the
    shell shows it.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "mission-tracer", "_MISSION_TRACER_COMPLETE").source())
