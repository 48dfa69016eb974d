"""``mlkit completion``."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    For bash, put this line into ~/.bashrc: eval "$(mlkit completion bash)"
    """
    complete = get_completion_class(shell)
    if complete is None:  # the choice above lists only shells of click
        raise click.UsageError(f"no completion for {shell}")
    root = ctx.find_root()
    click.echo(complete(root.command, {}, "mlkit", "_MLKIT_COMPLETE").source())
