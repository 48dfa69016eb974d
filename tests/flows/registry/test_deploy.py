import threading
from pathlib import Path
from typing import Any

import joblib
import pytest
from sqlalchemy import func, select

from mlkit.errors import CheckFailedError, ConflictError, DamagedError, MlkitError, NotFoundError
from mlkit.flows.registry import deploy
from mlkit.flows.training import train
from mlkit.project import Project, open_project
from mlkit.store import registry
from mlkit.store.deployments import Deployment
from mlkit.store.disk import blobs

PROMOTIONS = 12


@pytest.fixture
def three(trained: Project) -> Any:
    """The project ``trained`` with v2 and v3, v1 still the champion."""
    for _ in range(2):
        train.train(trained, "churn", "churn", estimator="linear")
    return trained


def champion(project: Project) -> Any:
    return deploy.find_version(project, "churn").number


def promote(project: Project, number: Any) -> Any:
    return deploy.promote(project, "churn", number, force=True, reason="test")


def test_a_promotion_replaces_the_champion_and_says_whom(three: Project) -> None:
    done = promote(three, 2)
    assert (done.version, done.previous, champion(three)) == (2, 1, 2)
    assert [one.number for one in deploy.champions(three)] == [2]
    newest, first = deploy.history(three, "churn")
    assert (newest.version, newest.action, newest.reason) == (2, "promote", "test")
    assert newest.evidence["forced"] is True
    assert first.ended_at is not None


def test_a_refused_version_is_promoted_only_by_force(three: Project) -> None:
    with pytest.raises(CheckFailedError, match="the gate refused churn v2: kept v1") as caught:
        deploy.promote(three, "churn", 2)
    assert caught.value.details["verdict"]["accepted"] is False
    assert champion(three) == 1


def test_promoting_the_champion_again_is_a_conflict(three: Project) -> None:
    with pytest.raises(ConflictError, match="churn v1 is the champion already"):
        deploy.promote(three, "churn", 1)


def test_rollbacks_go_back_one_champion_each(three: Project) -> None:
    promote(three, 2)
    promote(three, 3)
    assert deploy.rollback(three, "churn").version == 2
    assert deploy.rollback(three, "churn").version == 1
    with pytest.raises(ConflictError, match="no earlier champion"):
        deploy.rollback(three, "churn")
    promote(three, 3)
    assert deploy.rollback(three, "churn").version == 1


def test_a_rollback_may_name_any_earlier_champion(three: Project) -> None:
    promote(three, 2)
    promote(three, 3)
    done = deploy.rollback(three, "churn", to=1, reason="v2 and v3 are bad")
    assert (done.version, done.previous, done.action) == (1, 3, "rollback")
    with pytest.raises(ConflictError, match="no earlier champion"):
        deploy.rollback(three, "churn")


def test_a_rollback_to_what_never_served_is_refused(three: Project) -> None:
    with pytest.raises(ConflictError, match="v3 was never the champion"):
        deploy.rollback(three, "churn", to=3)
    with pytest.raises(NotFoundError, match="no version 9"):
        deploy.rollback(three, "churn", to=9)


def test_a_model_without_a_champion_says_how_to_get_one(trained: Project) -> None:
    train.train(trained, "other", "churn", estimator="linear")
    with pytest.raises(ConflictError, match="mlkit model promote other"):
        deploy.find_version(trained, "other")
    with pytest.raises(NotFoundError, match="known: churn, other"):
        deploy.find_version(trained, "none")


def artifact(project: Project, number: Any = 1) -> Any:
    version = deploy.find_version(project, "churn", number)
    return version, project.artifacts.path(version.artifact_sha256)


def test_changed_bytes_are_never_loaded(three: Project) -> None:
    version, file = artifact(three)
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(DamagedError, match="does not have the bytes that were recorded"):
        deploy.load_version(three, version)


def test_a_missing_artifact_is_reported_and_never_promoted(three: Project) -> None:
    _, file = artifact(three, 2)
    file.unlink()
    with pytest.raises(DamagedError, match="is missing; restore a backup"):
        promote(three, 2)
    assert champion(three) == 1


def test_foreign_bytes_under_a_right_digest_are_never_unpickled(
    three: Project, tmp_path: Path
) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return (tmp_path.joinpath("canary").touch, ())

    joblib.dump(Payload(), tmp_path / "evil")
    sha256 = three.artifacts.put((tmp_path / "evil").read_bytes())
    with three.write() as s:
        row = registry.get_version(s, registry.get_model(s, "churn"), 2)
        row.artifact_sha256 = sha256
        row.signature = blobs.sign(b"another key", "churn", 2, sha256)
    with pytest.raises(DamagedError, match="not signed with this project's key"):
        promote(three, 2)
    assert not (tmp_path / "canary").exists()


def test_a_signature_is_good_for_one_version_of_one_model_only(three: Project) -> None:
    with three.write() as s:
        model = registry.get_model(s, "churn")
        one, two = (registry.get_version(s, model, number) for number in (1, 2))
        two.signature = one.signature
    with pytest.raises(DamagedError, match="not signed"):
        promote(three, 2)


def test_other_answers_than_recorded_are_noticed(three: Project) -> None:
    with three.write() as s:
        row = registry.get_version(s, registry.get_model(s, "churn"), 2)
        golden = {**row.golden, "probabilities": [[0.5, 0.5]] * 20}
        row.golden = golden
    with pytest.raises(DamagedError, match="does not give its recorded answers any more"):
        promote(three, 2)


def test_an_artifact_that_the_libraries_cannot_read_is_damaged(three: Project) -> None:
    sha256 = three.artifacts.put(b"not a pickle")
    with three.write() as s:
        row = registry.get_version(s, registry.get_model(s, "churn"), 2)
        row.artifact_sha256 = sha256
        row.signature = blobs.sign(three.key, "churn", 2, sha256)
    with pytest.raises(DamagedError, match="cannot be loaded with the installed libraries"):
        promote(three, 2)


def test_a_loaded_version_knows_itself(trained: Project) -> None:
    loaded = deploy.load_version(trained, deploy.find_version(trained, "churn"))
    assert (loaded.model, loaded.version, loaded.role) == ("churn", 1, "champion")
    assert loaded.schema == loaded.predictor.schema


def test_promotions_at_once_never_leave_none_or_two_champions(three: Project) -> None:
    failures, counts, done = [], set(), threading.Event()

    def act(numbers: Any) -> Any:
        project = open_project(three.root, environment={})
        for turn in range(PROMOTIONS):
            try:
                promote(project, numbers[turn % 2])
            except ConflictError:
                pass  # it is the champion already
            except MlkitError as error:
                failures.append(error)
        project.close()

    def watch() -> Any:
        project = open_project(three.root, environment={})
        while not done.is_set():
            with project.read() as s:
                current = (Deployment.role == "champion") & Deployment.ended_at.is_(None)
                counts.add(s.scalar(select(func.count()).where(current)))
        project.close()

    watcher = threading.Thread(target=watch)
    actors = [threading.Thread(target=act, args=(pair,)) for pair in ((1, 2), (3, 2))]
    for thread in (watcher, *actors):
        thread.start()
    for thread in actors:
        thread.join()
    done.set()
    watcher.join()
    assert counts == {1}
    assert failures == []
