"""Refuse a project that was found, not named, if another user can write code that it executes.

A project that is named (``--project``, ``MLKIT_PROJECT``) is trusted. One found above the working
folder may be anybody's: in /tmp, on a shared disk, in an unpacked archive.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mlkit.errors import InvalidInputError, MlkitError
from mlkit.store.disk.ownership import OwnershipPolicy, executed

VARIABLE = "MLKIT_SAFE_DIRECTORY"
_ANY = "*"


class _Config(msgspec.Struct, forbid_unknown_fields=True):
    """The content of ``~/.config/mlkit/config.toml``."""

    safe_directories: tuple[str, ...] = ()


def refuse(root: Path, environment: Mapping[str, str], *, group: bool = False) -> None:
    """Raise MlkitError if other users can write code of ``root`` and this user did not allow it.

    With ``group`` the group of the files may write.
    """
    policy = OwnershipPolicy(group=group, environment=environment)
    fault = next(policy.faults(executed(root)), None)
    if fault is None or _allowed(root, environment, policy):
        return
    raise MlkitError(
        f"the project {root} is not run: {fault.said}; if you trust whoever can write "
        f"there, name it (mlkit --project {root} ...), or list it in {VARIABLE} or as "
        f"safe_directories in {_file(environment)} (see: mlkit doctor)"
    )


def _allowed(root: Path, environment: Mapping[str, str], policy: OwnershipPolicy) -> bool:
    named = environment.get(VARIABLE, "").split(os.pathsep)
    named += _configured(_file(environment), policy)
    folders = {os.path.realpath(Path(name).expanduser()) for name in named if name}
    return _ANY in named or str(root) in folders


def _configured(file: Path, policy: OwnershipPolicy) -> tuple[str, ...]:
    """Return the folders in the user's own file; a file that others may write is refused."""
    if not file.is_file():
        return ()
    if (fault := next(policy.faults([file]), None)) is not None:
        raise MlkitError(f"{file} is not trusted: {fault.said} (fix: {fault.fix})")
    try:
        return msgspec.toml.decode(file.read_bytes(), type=_Config).safe_directories
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"{file}: {error}") from error


def _file(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "mlkit" / "config.toml"
