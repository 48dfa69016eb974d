"""The one strict rule for every name that a client can send, so that none is ever a path.

And the loose one for the folder of a project, which the user names.
"""

import re
from pathlib import Path

from mlkit.errors import InvalidInputError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check(noun: str, name: str) -> str:
    """Return ``name`` if it may name a ``noun``; raises InvalidInputError."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise InvalidInputError(
            f"'{name}' cannot name a {noun}: use 1 to 64 of a-z 0-9 . _ - and start with a letter "
            "or digit"
        )
    return name


def check_folder(folder: Path) -> Path:
    """Return ``folder`` if a project may lie there; raises InvalidInputError.

    A line break ends a line of a crontab and of a log, other control characters steer a terminal,
    and what is not UTF-8 is no text.
    """
    path = str(folder)
    if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in path) or (
        not _is_text(path)
    ):
        raise InvalidInputError(
            f"a project cannot lie in {path!a}: the name has a control character or is not UTF-8; "
            "name another folder"
        )
    return folder


def check_file(file: Path) -> Path:
    """Return ``file`` if a row of the database can name it; raises InvalidInputError."""
    if not _is_text(str(file)):
        raise InvalidInputError(f"the name of {file} is not UTF-8; rename it")
    return file


def _is_text(path: str) -> bool:
    return path.encode(errors="replace").decode() == path
