"""Create a project folder: settings and jobs to edit, an empty database and a key."""

import grp
import json
import os
import shlex
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import groupby
from pathlib import Path

import msgspec

from mlkit import names
from mlkit.errors import ConflictError, InvalidInputError
from mlkit.layout import DATABASE_FILE, SETTINGS_FILE
from mlkit.project import create_project
from mlkit.settings import table
from mlkit.store.disk import modes
from mlkit.store.disk.blobs import write_durably

_HEAD = """\
# The settings of this project. Every line below shows a default; remove the '#' in front of a
# setting to change it, or add a table such as [server] at the end. A variable such as
# MLKIT_SERVER_PORT overrides this file, and an option of a command overrides both.
"""

_TAIL = """
# Where new rows of a dataset come from when `mlkit data pull` or `mlkit retrain --data source`
# fetches them again: a file (with how it is written), or a query.
#[datasets.NAME]
#source = "/path/to/rows.csv"
#encoding = "cp1252"
#[datasets.OTHER]
#source = "postgresql+psycopg://ml:${SHOP_PASSWORD}@db.example.com/shop"
#query = "SELECT * FROM customers ORDER BY id"

# A dataset that joins the features of views (features.py) to the rows of another one:
#[datasets.JOINED]
#base = "NAME"
#views = ["VIEW"]

# What differs for one model from the tables above:
#[models.NAME]
#drift_window = "7d"
#drift_reference = "seasonal"
#performance_window = "28d"
#retrain_data = "source"
#retrain_window = "180d"
#retrain_on = "never"
#alert_open_after = "2 of 3"
#alert_resolve_after = 2
"""

_GITIGNORE = """\
# What mlkit writes; settings, jobs and dataset schemas are yours to keep in git.
/.mlkit/
/ml.sqlite*
/data/sha256/
/data/scratch/
/artifacts/
/log/
/backups/
/quarantine/
__pycache__/
"""


class Made(msgspec.Struct, frozen=True):
    """A new project: its path, the written files, the suggested next commands."""

    project: Path
    files: tuple[str, ...]
    next: tuple[str, ...]


def make(
    root: Path, *, group: str | None = None, environment: Mapping[str, str] = os.environ
) -> Made:
    """Create the project ``root``; existing files of the user are not changed.

    All members of the Linux group ``group`` can work on it. Raises ConflictError for a folder that
    is a project, InvalidInputError for an invalid name or group. A killed ``init`` can be run
    again: the database is created last.
    """
    names.check_folder(root.absolute())
    _refuse_project(root)
    modes.make_folder(root)
    if group is not None:
        _share(root, group)
    wanted = {
        SETTINGS_FILE: settings_text(group=group is not None),
        ".gitignore": _GITIGNORE,
        **_job_files(),
    }
    written = []
    for name, text in wanted.items():
        if not (root / name).exists():
            modes.make_folder((root / name).parent)
            write_durably(root / name, text.encode())
            written.append(name)
    create_project(root, environment=environment).close()
    return Made(root.resolve(), (*written, DATABASE_FILE), _next_commands(root))


def settings_text(*, group: bool = False) -> str:
    """Return a new ``mlkit.toml``: every setting with its help, commented out.

    Only the setting for a shared ``group`` is active. Settings are dotted keys outside of tables,
    so that a user can uncomment a single line, or append a table at the end.
    """
    lines = [_HEAD]
    for section, rows in groupby(table.table(), lambda row: row.name.partition(".")[0]):
        lines.append(f"# --- {section} ---")
        for row in rows:
            if group and row.name == "project.group":
                line = f"{row.name} = true"
            else:
                line = f"#{row.name} = {toml_value(row.default)}"
            lines += [f"# {row.help}", line]
        lines.append("")
    return "\n".join(lines) + _TAIL


def toml_value(value: object) -> str:
    """Format a default value as TOML.

    >>> toml_value(True), toml_value(("a", "b")), toml_value("7d"), toml_value(0.1)
    ('true', '["a", "b"]', '"7d"', '0.1')
    """
    return json.dumps(value)  # JSON is valid TOML for strings, lists, numbers and booleans


def _share(root: Path, group: str) -> None:
    try:
        os.chown(root, -1, grp.getgrnam(group).gr_gid)
        modes.share(root)
    except KeyError:
        raise InvalidInputError(
            f"this machine has no group '{group}'; make it with: sudo groupadd {group}"
        ) from None
    except PermissionError as error:
        raise InvalidInputError(
            f"cannot give {root} to the group '{group}': only a member who owns the folder can"
        ) from error


def _refuse_project(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise ConflictError(f"{root} is a file; name a folder")
    used = (root / SETTINGS_FILE).exists() and (root / "artifacts" / "sha256").exists()
    if used or (root / DATABASE_FILE).exists():
        raise ConflictError(
            f"{root} is a project already; look at it with: mlkit --project {root} status"
        )


def _job_files() -> dict[str, str]:
    folder = resources.files("mlkit") / "skeleton" / "jobs"
    return {f"jobs/{file.name}": file.read_text() for file in _python_files(folder)}


def _python_files(folder: Traversable) -> list[Traversable]:
    return sorted(
        (file for file in folder.iterdir() if file.name.endswith(".py")), key=lambda file: file.name
    )


def _next_commands(root: Path) -> tuple[str, ...]:
    return (
        f"cd {shlex.quote(str(root))}",
        "mlkit data add NAME FILE.csv --target COLUMN",
        "mlkit train NAME --data NAME --promote",
    )
