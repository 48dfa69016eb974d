"""Open a SQLite file where nothing can be written: a read-only mount, another user's folder."""

import os
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import URL, Engine, create_engine

from mlkit.errors import MlkitError
from mlkit.store.dialects import json_columns

PRAGMAS = ("query_only=ON", "trusted_schema=OFF", "mmap_size=0")


def engine(driver: ModuleType, file: Path, url: URL, arguments: dict[str, Any]) -> Engine:
    """Return an engine that creates no file and takes no lock that needs one.

    On a read-only disk nobody writes, so the file is opened as immutable. If there is a WAL with
    content beside it, that must be read too, which needs its index (``-shm``).
    """
    if not file.is_file():
        raise MlkitError(f"{file} is missing; check the path (see: mlkit backup restore)")
    log, index = (Path(f"{file}{end}") for end in ("-wal", "-shm"))
    logged = log.is_file() and log.stat().st_size > 0
    if logged and not index.is_file():
        raise MlkitError(
            f"{log} holds what was not yet written to {file.name}, and nothing can be written "
            "there; copy the project to a disk that can be written to"
        )
    frozen = not logged and _is_read_only(file.parent)
    how = "immutable=1" if frozen else "mode=ro"

    def connect() -> Any:
        place = f"{file.absolute().as_uri()}?{how}"
        return driver.connect(place, uri=True, check_same_thread=False, **arguments)

    return create_engine(url, module=driver, creator=connect, **json_columns.OPTIONS)


def _is_read_only(folder: Path) -> bool:
    """Tell whether ``folder`` is on a read-only mount; False if it does not exist."""
    return folder.is_dir() and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
