"""The root command: loads a subcommand's file only when it is used, and prints every error."""

import errno
import importlib
import os
import resource
import signal
from pathlib import Path
from typing import Any, NoReturn

import click

from mlkit import __version__, printable
from mlkit.cli import ending
from mlkit.errors import BusyError, CheckFailedError, MlkitError

EXIT_CODES: dict[type[MlkitError], int] = {CheckFailedError: 3, BusyError: 4}

_OURS = ("error:", "warning:", "note:", "problem:")
_INTERRUPTED = 128 + signal.SIGINT  # the exit code that shells expect

# name: (module, attribute, first line of the command's docstring)
COMMANDS = {
    "init": ("init", "init", "Make a project in DIR."),
    "demo": ("demo", "demo", "Play one year of real flights through the whole loop."),
    "status": (
        "status",
        "status",
        "Show models, traffic, verdicts, alerts and jobs on one screen.",
    ),
    "doctor": ("doctor", "doctor", "Check the machine and the project for what breaks at night."),
    "data": ("data", "data", "Add, check and compare dataset versions."),
    "lineage": (
        "lineage",
        "lineage",
        "Show where a model, dataset or prediction comes from and what was made of it.",
    ),
    "features": (
        "features",
        "features",
        "Join, materialise, look up and test the features of features.py.",
    ),
    "train": ("train", "train", "Train a version of MODEL and judge it at the gate."),
    "model": ("model", "model", "List, compare, promote and roll back model versions."),
    "serve": ("serve", "serve", "Serve every champion over HTTP."),
    "predict": ("predict", "predict", "Predict every row of FILE with the champion of MODEL."),
    "actual": ("actual", "actual", "Add actuals, the true values, to the prediction log."),
    "drift": ("drift", "drift", "Find out whether the inputs have changed."),
    "perf": ("perf", "perf", "Find out whether the predictions have got worse."),
    "report": (
        "report",
        "report",
        "Draw what is known of MODEL as one HTML page that needs nothing else.",
    ),
    "retrain": ("retrain", "retrain", "Train MODEL on its newest rows; promote only if better."),
    "log": ("log", "log", "Show, export and seal the prediction log."),
    "job": ("job", "job", "List, run and schedule the jobs of this machine."),
    "daemon": ("daemon", "daemon", "Run the jobs of this project when they are due."),
    "alert": ("alert", "alert", "List, acknowledge, snooze and test alerts."),
    "backup": ("backup", "backup", "Create, verify and restore backups."),
    "audit": ("audit", "audit", "Check the audit trail, or accept the database as it stands."),
    "token": ("token", "token", "Create, list and revoke access tokens of the server."),
    "db": ("db", "db", "Show and upgrade the schema of the database."),
    "docs": ("docs", "docs", "Read the documentation: the list of pages, or the page TOPIC."),
    "completion": ("completion", "completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A command group with names and help of its commands, without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names in the order of first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the file of one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"mlkit.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands from ``_COMMANDS``."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that the operator can fix becomes message and exit code."""
        _spare_address_space()
        try:
            return super().invoke(ctx)
        except MlkitError as error:
            report(ctx, error)
        except click.ClickException as error:
            error.message = printable.line(error.message)  # type: ignore[misc]  # click shows it
            raise
        except OSError as error:
            if error.errno == errno.EPIPE or error.strerror is None:
                raise  # click exits silently when a pipe is closed
            report(ctx, MlkitError(_explain(error)))
        except MemoryError as error:  # Arrow and numpy name the requested size
            report(ctx, MlkitError(f"not enough memory: {error}; give this process more"))
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(_INTERRUPTED)


def _spare_address_space() -> None:
    """If address space is limited, keep Arrow from reserving 1 GiB in advance."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def _explain(error: OSError) -> str:
    """Describe which file could not be read or written, and why."""
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror}; check the path, its permissions and the free space"


def _lines(error: MlkitError) -> str:
    """Indent the later lines of a message, so that none looks like a message of mlkit."""
    first, *more = printable.text(error).split("\n")
    return "\n".join([first, *(f"  {each}" if each.startswith(_OURS) else each for each in more)])


def report(ctx: click.Context, error: MlkitError) -> None:
    """Print ``error`` to stderr, and as the one JSON document on stdout under ``--json``."""
    from mlkit.cli import output  # imported only to print an error

    click.secho("error: ", fg="red", bold=True, err=True, nl=False)
    click.echo(_lines(error), err=True)
    if ctx.meta.get("mlkit.json"):
        output.write_json({"error": str(error), **error.details})
    codes = [code for kind, code in EXIT_CODES.items() if isinstance(error, kind)]
    ctx.exit(codes[0] if codes else 1)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 error, 2 usage, 3 a check said no, 4 busy.",
)
@click.option(
    "--project",
    type=click.Path(path_type=Path),
    envvar="MLKIT_PROJECT",
    help="Project folder. Default: the nearest one with an mlkit.toml, from here upward.",
)
@click.version_option(__version__, prog_name="mlkit")
@click.pass_context
def cli(ctx: click.Context, project: Path | None) -> None:
    """Run the whole machine-learning loop of a small team on one machine.

    Start with `mlkit init DIR`, or with `mlkit demo` to watch it on real data.
    """
    ctx.obj = project


def main() -> NoReturn:
    """Run the command line and end the process."""
    os.umask(0o077)  # models, logs and keys are private to their owner
    ending.run(lambda: cli(prog_name="mlkit"))
