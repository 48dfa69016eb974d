"""Models that somebody has tampered with are not loaded, and nothing in them is run."""

import hashlib
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlkit.errors import DamagedError
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.server.models.holder import Holder
from mlkit.store.registry import ModelVersion

FLIPS = 100


def _overwrite(project: Project, version: ModelVersion, content: bytes) -> None:
    path = project.artifacts.path(version.artifact_sha256)
    path.chmod(0o600)
    path.write_bytes(content)


def _canary(file: Path) -> bytes:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (file,))

    return pickle.dumps(Harm())


@pytest.fixture
def two(project: Project, register: Callable[..., Any]) -> tuple[Project, Any, Any]:
    """A project with a champion and a second version."""
    return project, register(project, seed=0), register(project, seed=1, promote=False)


def _refused(project: Project, version: Any) -> None:
    with pytest.raises(DamagedError):
        deploy.load_version(project, deploy.find_version(project, "churn", version.number))


def test_no_flipped_byte_gets_past(two: Any) -> None:
    project, _, second = two
    content = project.artifacts.path(second.artifact_sha256).read_bytes()
    chance = random.Random(1)  # noqa: S311  # reproducible, not secret
    for _ in range(FLIPS):
        changed = bytearray(content)
        changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        _overwrite(project, second, bytes(changed))
        _refused(project, second)
    _overwrite(project, second, content)
    assert deploy.load_version(project, second).version == 2


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_no_half_of_a_file_gets_past(two: Any, share: float) -> None:
    project, _, second = two
    content = project.artifacts.path(second.artifact_sha256).read_bytes()
    _overwrite(project, second, content[: int(len(content) * share)])
    _refused(project, second)


def test_two_versions_that_change_places_are_refused(two: Any) -> None:
    project, first, second = two
    one, other = (project.artifacts.path(v.artifact_sha256).read_bytes() for v in (first, second))
    _overwrite(project, first, other)
    _overwrite(project, second, one)
    _refused(project, first)
    _refused(project, second)


def test_rows_that_change_places_are_refused(two: Any) -> None:
    project, first, second = two
    with project.write() as s:
        one, other = (s.get_one(ModelVersion, v.id) for v in (first, second))
        one.artifact_sha256, other.artifact_sha256 = other.artifact_sha256, one.artifact_sha256
        s.flush()
    _refused(project, first)
    _refused(project, second)


def test_another_valid_model_in_its_place_is_refused(
    two: Any, register: Callable[..., Any]
) -> None:
    project, first, _ = two
    spam = register(project, "spam", seed=5)
    with project.write() as s:
        row = s.get_one(ModelVersion, first.id)
        row.artifact_sha256, row.signature = spam.artifact_sha256, spam.signature
    _refused(project, first)


def test_row_and_file_edited_together_without_the_key_are_refused(two: Any, tmp_path: Path) -> None:
    project, _, second = two
    canary = tmp_path / "canary"
    harm = _canary(canary)
    digest = hashlib.sha256(harm).hexdigest()
    path = project.artifacts.path(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(harm)
    with project.write() as s:
        s.get_one(ModelVersion, second.id).artifact_sha256 = digest
    _refused(project, second)
    assert not canary.exists()


def test_a_running_server_goes_on_with_the_good_one_and_runs_nothing(
    two: Any, tmp_path: Path
) -> None:
    project, _, second = two
    holder = Holder(project)
    holder.refresh()
    canary = tmp_path / "canary"
    _overwrite(project, second, _canary(canary))
    with project.write() as s:
        deploy.start(s, project, second, action="promote", reason="a test", evidence={})
    holder.refresh()
    assert holder.get("churn").loaded.version == 1
    assert "v2" in holder.problems["churn"]
    assert not canary.exists()
