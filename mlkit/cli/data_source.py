"""Shared by commands that read rows: source options, and the progress bar."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlkit.cli import output
from mlkit.provenance import Csv, Stated

if TYPE_CHECKING:
    from mlkit.flows.data.sources import Source
    from mlkit.progress import BytesRead

R = TypeVar("R")

_MEGABYTE = 1_000_000
_OPTIONS = {
    "delimiter": "What separates the values of a CSV file, e.g. ';' or tab.",
    "encoding": "Encoding of a CSV file, e.g. cp1252; UTF-8 unless a byte order mark says more.",
    "decimal": "Decimal mark of a CSV file, e.g. ','.",
    "thousands": "What groups the digits of numbers in a CSV file, e.g. '.'.",
}


def dialect_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the CSV options; ``command`` gets them as ``stated``."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> R:
        said = {name: kwargs.pop(name) for name in (*_OPTIONS, "missing", "header", "names")}
        said["missing"] = said["missing"] or None
        return command(*args, stated=Stated(**said), **kwargs)

    wrapped: Callable[..., R] = run
    for option in reversed([*_texts(), *_OTHERS]):
        wrapped = option(wrapped)
    return wrapped


def _texts() -> list[Callable[..., Any]]:
    return [click.option(f"--{name}", metavar="TEXT", help=text) for name, text in _OPTIONS.items()]


_OTHERS = (
    click.option(
        "--missing", metavar="TEXT", multiple=True,
        help="What stands for a missing value among the texts of a CSV file, e.g. NA, beside the "
        "empty cell; more than once for more.",
    ),
    click.option(
        "--header/--no-header", default=None,
        help="Whether the first row of a CSV file has the names of its columns.",
    ),
    click.option("--names", metavar="A,B,C", help="The columns of a CSV file without a header."),
)  # fmt: skip


def choose(
    file: Path | None, url: str | None, query: str | None, stated: Stated
) -> "Source | None":
    """Return the source in the options, None for the one in the settings."""
    from mlkit.flows.data.file_source import FileSource  # imports SQLAlchemy
    from mlkit.flows.data.query_source import QuerySource

    if (url is None) != (query is None):
        raise click.UsageError("--source and --query go together")
    if url is not None and query is not None:
        if file is not None:
            raise click.UsageError("give either a FILE or --source and --query")
        if stated != Stated():
            raise click.UsageError(
                "--delimiter, --encoding, --decimal, --thousands, --missing, --header and --names "
                "are about CSV files; cast the values in the query, e.g. "
                "CAST(REPLACE(price, ',', '.') AS REAL)"
            )
        return QuerySource(url, query, Path.cwd())
    if file is None:
        if stated != Stated():
            raise click.UsageError("these options need a FILE; or write them into mlkit.toml")
        return None
    return FileSource(file, stated)


def spell(read_as: Csv) -> str:
    """Describe how a CSV file was read."""
    words = {
        "delimiter": repr(read_as.delimiter),
        "encoding": read_as.encoding,
        "decimal": repr(read_as.decimal),
        "thousands": read_as.thousands and repr(read_as.thousands),
        "compression": read_as.compression,
    }
    spelled = [f"{name} {word}" for name, word in words.items() if word]
    spelled += [f"missing {mark!r}" for mark in read_as.missing or ()]
    return ", ".join([*spelled, "no header"] if read_as.header is False else spelled)


@contextmanager
def progress() -> "Iterator[BytesRead]":
    """Yield a callback that shows the bytes read so far on stderr."""
    with output.progress() as display:
        task = display.add_task("reading", total=None)

        def report(what: str, done: int, total: int) -> None:
            size = f" {done // _MEGABYTE:,} of {total // _MEGABYTE:,} MB" if total else ""
            display.update(task, description=f"{what}{size}", completed=done, total=total or None)

        yield report
