"""Environment variables, such as secrets, from the file ``.mlkit/env``.

mlkit reads it itself, so that it works alike from cron, systemd and a shell.
"""

import os
import re
import stat
from collections.abc import MutableMapping
from pathlib import Path

from mlkit.errors import InvalidInputError
from mlkit.store.disk import modes, plain_files

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def load(file: Path, environment: MutableMapping[str, str]) -> None:
    """Add the variables of ``file`` to ``environment``, except for those that are already set.

    Does nothing without the file. Raises InvalidInputError if other users can read it or own it, or
    for a line that sets no variable.
    """
    try:
        with plain_files.opened(file) as stream:
            _refuse_exposed(file, os.fstat(stream.fileno()))
            content = stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return
    for name, value in parse(content, file):
        environment.setdefault(name, value)


def parse(content: bytes, file: Path) -> list[tuple[str, str]]:
    r"""Return the names and values of the lines ``NAME=VALUE``; ``#`` begins a comment line.

    A pair of quotes around a value is removed; nothing is expanded.

    >>> parse(b"# of the shop\nSHOP_PASSWORD='a b$c'\nexport TOKEN=x=y\n", Path("env"))
    [('SHOP_PASSWORD', 'a b$c'), ('TOKEN', 'x=y')]
    """
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{file} is not UTF-8 text") from error
    found = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith(("#", ";")):
            continue
        match = _LINE.fullmatch(line)
        if match is None or "\0" in line:  # the line itself may be a secret
            raise InvalidInputError(f"line {number} of {file} is not of the form NAME=VALUE")
        found.append((match[1], _unquoted(match[2])))
    return found


def _unquoted(value: str) -> str:
    paired = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if paired else value


def _refuse_exposed(file: Path, found: os.stat_result) -> None:
    shared = modes.is_shared(file.parent)
    if found.st_mode & (stat.S_IRWXO if shared else stat.S_IRWXG | stat.S_IRWXO):
        who = "o=" if shared else "go="
        raise InvalidInputError(f"other users may use {file}, which holds secrets: chmod {who} it")
    if not shared and found.st_uid not in (0, os.geteuid()):
        raise InvalidInputError(f"{file} belongs to another user; put your own in its place")
