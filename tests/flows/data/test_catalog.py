from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mlkit.errors import NotFoundError
from mlkit.flows.data import catalog, ingest
from mlkit.project import Project


@pytest.fixture
def two(project: Project, churn: Callable[..., pd.DataFrame], tmp_path: Path) -> Project:
    """A project with two versions of ``churn``: the second is older, and has a city."""
    for seed, shift in ((0, 0), (1, 20)):
        frame = churn(seed=seed)
        frame["age"] += shift
        if shift:
            frame["city"] = ["rome", "bern"] * 200
        frame.to_csv(tmp_path / "churn.csv", index=False)
        ingest.add(project, "churn", tmp_path / "churn.csv", target="churned", time="since")
    return project


def test_an_empty_project_has_an_empty_list(project: Project) -> None:
    assert catalog.list_datasets(project) == []


def test_the_list_shows_the_newest_version(two: Project) -> None:
    (listed,) = catalog.list_datasets(two)
    assert (listed.dataset, listed.version, listed.rows, listed.columns) == ("churn", 2, 400, 7)


def test_a_version_is_shown_with_profile_rules_and_history(two: Project) -> None:
    shown = catalog.show(two, "churn@1")
    columns = {column["name"]: column for column in shown.columns}
    assert columns["age"]["rules"]["in_range"]["max_value"] == 140
    assert columns["spend"]["missing"] == 24
    assert [line.version for line in shown.versions] == [1, 2]
    assert catalog.show(two, "churn").version == 2


def test_the_last_two_versions_are_compared_by_default(two: Project) -> None:
    found = catalog.diff(two, "churn")
    assert (found.old, found.new, found.same) == ("churn@1", "churn@2", False)
    assert found.columns.added == ("city",)
    assert found.drift.verdict == "drift"
    assert {f.name for f in found.drift.features if f.drifted} == {"age", "range(age)"}


@pytest.mark.parametrize(
    ("old", "new"), [("churn@1", "2"), ("churn@1", "@2"), ("churn@1", None), ("churn@1", "churn")]
)
def test_versions_can_be_named_in_every_way_that_people_type(
    two: Project, old: str, new: str | None
) -> None:
    found = catalog.diff(two, old, new)
    assert (found.old, found.new) == ("churn@1", "churn@2")


def test_a_version_does_not_differ_from_itself(two: Project) -> None:
    found = catalog.diff(two, "churn@1", "1")
    assert (found.same, found.drift.verdict, found.rules) == (True, "ok", ())


def test_what_changed_in_the_rules_is_shown(
    two: Project, churn: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    file = two.schemas_dir / "churn.yaml"
    file.write_text(file.read_text().replace("max_value: 140", "max_value: 99"))
    churn(seed=3).to_csv(tmp_path / "third.csv", index=False)
    ingest.add(two, "churn", tmp_path / "third.csv")
    (change,) = catalog.diff(two, "churn").rules
    assert (change.column, change.new["in_range"]["max_value"]) == ("age", 99)


def test_one_version_alone_has_nothing_to_compare_with(project: Project, churn_csv: Path) -> None:
    ingest.add(project, "churn", churn_csv)
    with pytest.raises(NotFoundError, match="has one version"):
        catalog.diff(project, "churn")
    with pytest.raises(NotFoundError, match="no version 7"):
        catalog.show(project, "churn@7")
