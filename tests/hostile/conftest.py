"""The server of ``tests/server``, for clients that mean harm."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_FILE = Path(__file__).parents[1] / "server" / "conftest.py"
_spec = importlib.util.spec_from_file_location("served_for_hostile_clients", _FILE)
assert _spec is not None
assert _spec.loader is not None
_served = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_served)

serve = _served.serve
start = _served.start


@pytest.fixture(scope="module")
def target(
    trained_root: Path, tmp_path_factory: pytest.TempPathFactory, warm: Any
) -> Iterator[Any]:
    """A server with one worker and the limits that it comes with; it must outlive every test."""
    root = tmp_path_factory.mktemp("target") / "project"
    shutil.copytree(trained_root, root)
    server = _served.Server(warm, root, "--workers", "1")
    (worker,) = server.workers()
    yield server
    assert server.workers() == [worker], "the worker died"
    code, said = server.stop()
    assert (code, "Traceback" in said) == (0, False), said
