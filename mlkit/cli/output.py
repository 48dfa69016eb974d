"""Shared by all commands: the ``--json`` flag, the open project, tables, progress bars."""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from mlkit import printable

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.text import Text
    from rich.tree import Tree

    from mlkit.project import Project

STDOUT = Path("-")
_UNLIMITED = 10_000  # characters
_WHOLE = 1e15  # from here on Python prints an exponent

P = ParamSpec("P")
R = TypeVar("R")


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:  # noqa: FBT001
    ctx.meta["mlkit.json"] = value
    return value


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_remember, help="Print one JSON document."
)


def with_project(command: "Callable[Concatenate[Project, P], R]") -> Callable[P, R]:
    """Open the project of ``--project`` and pass it to ``command`` as first argument."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from mlkit.project import open_project  # imports SQLAlchemy

        ctx = click.get_current_context()
        project = open_project(ctx.find_root().obj)
        ctx.call_on_close(project.close)
        return command(project, *args, **kwargs)

    return run


def emit(value: Any, *, as_json: bool, render: Callable[[Any], None]) -> None:
    """Print ``value`` as JSON, or let ``render`` print it for a person."""
    if as_json:
        write_json(value)
    else:
        render(value)


def say(text: object, *, err: bool = False, fg: str | None = None, nl: bool = True) -> None:
    """Print one line of text; control characters from outside are escaped.

    Line breaks are escaped too: call it for each line, or ``say_all`` for several lines.
    """
    click.secho(printable.line(text), err=err, fg=fg, nl=nl)


def say_all(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print trusted lines, such as a unit file or a picture."""
    click.echo(printable.text(text), err=err, nl=nl)


def write_json(value: Any) -> None:
    """Print one JSON document: dataclasses, structs, times and paths included; NaN becomes null."""
    import msgspec

    encoded = msgspec.json.encode(value, enc_hook=str)
    click.echo(msgspec.json.format(encoded, indent=2).decode())


def write_page(text: str, target: Path) -> None:
    """Write a page to stdout (``-``), or atomically to a file."""
    content = text.encode()
    if target == STDOUT:
        click.echo(content, nl=False)
        return
    if target.exists() and not target.is_file():
        target.write_bytes(content)  # a device or a pipe, which must not be replaced by a file
    else:
        from mlkit.store.disk.blobs import write_durably  # imports SQLAlchemy

        write_durably(target, content)
    say(f"wrote {target} ({max(1, len(content) // 1000)} kB)", err=True)


def fields(value: Any) -> dict[str, Any]:
    """Return the fields of a struct or dataclass, for error details in ``--json`` output."""
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(value, enc_hook=str)
    return found


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns whose cells are all numbers are aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[cell(value) for value in row] for row in rows]
    numeric = [
        all(isinstance(row[i], int | float) or row[i] is None for row in cells)
        for i in range(len(headers))
    ]
    table = Table(box=box.SIMPLE_HEAD)
    for header, right in zip(headers, numeric, strict=True):
        table.add_column(plain(header), justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text("-" if value is None else printable.line(value)) for value in row))
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    unwrapped = Console(width=_UNLIMITED)  # pipes and files get unwrapped lines
    with unwrapped.capture() as printed:
        unwrapped.print(table)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def plain(text: str) -> "Text":
    """Return ``text`` for display: without markup, without control characters."""
    from rich.text import Text

    return Text(printable.line(text))


def print_tree(tree: "Tree") -> None:
    """Print a tree; lines in a pipe or a file are not wrapped."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        console.print(tree)
        return
    unwrapped = Console(width=_UNLIMITED)
    with unwrapped.capture() as printed:
        unwrapped.print(tree)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def shows(text: str) -> bool:
    """Tell whether the encoding of stdout has every character of ``text``."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def cell(value: object) -> object:
    """Format ``value`` for a table: times to the second, numbers with four digits.

    Larger numbers have all digits before the decimal point.

    >>> cell(0.123456), cell(48_832.52), cell(True)
    (0.1235, 48833.0, 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return float(round(value)) if 1e4 <= abs(value) < _WHOLE else float(f"{value:.4g}")
    if hasattr(value, "strftime"):
        return f"{value:%Y-%m-%d %H:%M:%SZ}"
    return value


def size(size_bytes: int) -> str:
    """Format a number of bytes in a suitable unit.

    >>> [size(number) for number in (0, 999, 2342, 5_120_000, 1_234_567_890)]
    ['0 bytes', '999 bytes', '2.3 kB', '5.1 MB', '1.2 GB']
    """
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes / 1e3:.1f} kB"


@contextmanager
def progress() -> "Iterator[Progress]":
    """Yield a progress display on stderr; silent when stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as display:
        yield display
