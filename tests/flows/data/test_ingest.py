from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from mlkit.errors import (
    BusyError,
    CheckFailedError,
    ConflictError,
    DamagedError,
    InvalidInputError,
    NotFoundError,
)
from mlkit.flows.data import acceptance, ingest
from mlkit.flows.data.file_source import FileSource
from mlkit.flows.data.versioning import Origin
from mlkit.project import Project
from mlkit.provenance import Stated
from mlkit.store import audit, datasets

Churn = Callable[..., pd.DataFrame]


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write a frame as CSV and return the file."""

    def write(frame: pd.DataFrame, name: str = "next.csv") -> Path:
        frame.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return write


def _add(project: Project, file: Path) -> ingest.Added:
    return ingest.add(project, "churn", file, target="churned", time="since")


def _traces(project: Project) -> set[Path]:
    """Return every file but the database, its journal, the locks and the quarantine."""
    files = {path.relative_to(project.root) for path in project.root.rglob("*") if path.is_file()}
    files = {file for file in files if file.parts[0] != "quarantine"}
    return {file for file in files if file.parts[:2] != (".mlkit", "locks") and file.stem != "ml"}


def _versions(project: Project) -> int:
    with project.read() as s:
        return s.query(datasets.DatasetVersion).count()


def test_a_version_is_the_rows_and_how_they_came(project: Project, churn_csv: Path) -> None:
    added = _add(project, churn_csv)
    assert (added.version, added.rows, added.new, added.warnings) == (1, 400, True, ())
    assert ingest.load_table(project, added.sha256).num_rows == 400
    with project.read() as s:
        version = datasets.get_version(s, "churn")
        assert version.source == str(churn_csv)
        assert version.dataset.target == "churned"
        assert version.schema_yaml == acceptance.schema_file(project, "churn").read_text()
        assert version.profile["columns"][0]["name"] == "since"
        (event,) = s.query(audit.AuditEvent).filter_by(action="data add")
        assert event.subject == "churn@1"


def test_the_same_bytes_make_no_new_version(project: Project, churn_csv: Path) -> None:
    first = _add(project, churn_csv)
    again = _add(project, churn_csv)
    assert (again.version, again.new, again.sha256) == (1, False, first.sha256)
    assert _versions(project) == 1


def test_the_same_rows_in_other_bytes_make_no_new_version(
    project: Project, churn_csv: Path, tmp_path: Path
) -> None:
    _add(project, churn_csv)
    other = tmp_path / "other.csv"
    other.write_text(churn_csv.read_text().replace(",", ";"))
    assert _add(project, other).new is False
    assert ingest.load_table(project, _add(project, churn_csv).sha256).num_rows == 400
    assert _versions(project) == 1


def test_rows_that_break_a_rule_leave_no_trace(
    project: Project, churn_csv: Path, churn: Churn, save: Callable[..., Path]
) -> None:
    _add(project, churn_csv)
    before = _traces(project)
    with pytest.raises(CheckFailedError, match="'plan': isin") as refused:
        _add(project, save(churn().assign(plan="gold", age=500)))
    assert [failure.column for failure in refused.value.details["failures"]] == ["age", "plan"]
    assert _traces(project) == before
    assert _versions(project) == 1


def test_a_refused_first_version_leaves_no_dataset(
    project: Project, churn: Churn, save: Callable[..., Path]
) -> None:
    before = _traces(project)
    with pytest.raises(CheckFailedError, match="target_present"):
        _add(project, save(churn().assign(churned=None)))
    assert _traces(project) == before
    with project.read() as s:
        assert datasets.find(s, "churn") is None


def test_the_rules_that_the_user_edited_are_the_ones_that_count(
    project: Project, churn_csv: Path, churn: Churn, save: Callable[..., Path]
) -> None:
    _add(project, churn_csv)
    file = acceptance.schema_file(project, "churn")
    file.write_text(file.read_text().replace("- free", "- free\n    - gold"))
    assert _add(project, save(churn(seed=1).replace({"plan": {"pro": "gold"}}))).version == 2
    with project.read() as s:
        assert "gold" in datasets.get_version(s, "churn", 2).schema_yaml
        assert "gold" not in datasets.get_version(s, "churn", 1).schema_yaml


def test_a_damaged_schema_file_is_named_and_nothing_is_added(
    project: Project, churn_csv: Path, churn: Churn, save: Callable[..., Path]
) -> None:
    _add(project, churn_csv)
    acceptance.schema_file(project, "churn").write_text("columns: {a: [")
    with pytest.raises(InvalidInputError, match=r"schemas/churn.yaml is not valid YAML: line 1"):
        _add(project, save(churn(seed=1)))
    assert _versions(project) == 1


def test_a_lost_schema_file_is_written_again_from_the_newest_version(
    project: Project, churn_csv: Path, churn: Churn, save: Callable[..., Path]
) -> None:
    _add(project, churn_csv)
    file = acceptance.schema_file(project, "churn")
    text = file.read_text()
    file.unlink()
    with pytest.raises(CheckFailedError):
        _add(project, save(churn().assign(plan="gold")))
    assert _add(project, save(churn(seed=1))).version == 2
    assert file.read_text() == text


def test_a_role_can_be_given_later_but_never_changed(project: Project, churn_csv: Path) -> None:
    ingest.add(project, "churn", churn_csv)
    added = ingest.add(project, "churn", churn_csv, target="churned")
    assert (added.version, added.new) == (1, False)
    with project.read() as s:
        assert datasets.get(s, "churn").target == "churned"
    with pytest.raises(ConflictError, match="is 'churned', not 'plan'"):
        ingest.add(project, "churn", churn_csv, target="plan")
    with pytest.raises(InvalidInputError, match="no column 'when' for --time"):
        ingest.add(project, "churn", churn_csv, time="when")


def test_a_role_needs_its_column(project: Project, churn_csv: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no column 'churn' for --target; .* churned"):
        ingest.add(project, "churn", churn_csv, target="churn")
    assert _versions(project) == 0


@pytest.mark.parametrize("name", ["Churn", "../x", "a/b", "", "-x", "a" * 65, "a..b"])
def test_a_name_is_never_a_path(project: Project, churn_csv: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot name a dataset"):
        ingest.add(project, name, churn_csv)


def test_two_adds_to_one_dataset_do_not_meet(project: Project, churn_csv: Path) -> None:
    with project.lock("data-churn", busy=""), pytest.raises(BusyError, match="try again"):
        _add(project, churn_csv)
    assert _add(project, churn_csv).version == 1


def test_a_table_joins_a_dataset_under_the_same_rules(project: Project, churn_csv: Path) -> None:
    first = _add(project, churn_csv)
    table = ingest.load_table(project, first.sha256)
    half = table.slice(0, 200).select(["plan", "age", "spend", "since", "active", "churned"])
    added = ingest.add_table(project, "churn", half, origin=Origin("log", parents=("churn@1",)))
    assert (added.version, added.rows) == (2, 200)
    assert ingest.load_table(project, added.sha256).column_names == table.column_names
    with project.read() as s:
        version = datasets.get_version(s, "churn")
        assert (version.source, version.parents) == ("log", ["churn@1"])
    bad = half.set_column(0, "plan", pa.array(["gold"] * 200))
    with pytest.raises(CheckFailedError):
        ingest.add_table(project, "churn", bad, origin=Origin("log"))
    with pytest.raises(NotFoundError, match="no dataset named 'other'"):
        ingest.add_table(project, "other", half, origin=Origin("log"))


def test_rows_that_changed_on_disk_are_never_used(project: Project, churn_csv: Path) -> None:
    added = _add(project, churn_csv)
    file = project.data.path(added.sha256)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedError, match="does not have the bytes"):
        ingest.load_table(project, added.sha256)


def test_validating_adds_nothing(
    project: Project, churn_csv: Path, churn: Churn, save: Callable[..., Path]
) -> None:
    _add(project, churn_csv)
    before = _traces(project)
    assert ingest.validate(project, "churn", save(churn(seed=1))).valid
    with pytest.raises(CheckFailedError) as refused:
        ingest.validate(project, "churn", save(churn().assign(age="old")))
    assert (refused.value.details["valid"], refused.value.details["rows"]) == (False, 400)
    assert _traces(project) == before


def test_infinite_numbers_are_kept_as_missing_where_gaps_are_allowed(
    project: Project, churn: Churn, save: Callable[..., Path]
) -> None:
    frame = churn()
    frame.loc[5, "spend"] = float("inf")
    added = _add(project, save(frame))
    assert added.warnings == ("infinite: 'spend' has 1 infinite values; kept as missing",)
    frame["age"] = frame["age"].astype(float)
    frame.loc[5, "age"] = float("inf")
    with pytest.raises(CheckFailedError, match=r"'age': not_nullable.*row 6"):
        _add(project, save(frame))


@pytest.mark.parametrize(
    ("text", "expected"), [("churn", ("churn", None)), ("churn@12", ("churn", 12))]
)
def test_a_reference_is_a_name_and_perhaps_a_number(
    text: str, expected: tuple[str, int | None]
) -> None:
    assert ingest.parse_reference(text) == expected


@pytest.mark.parametrize("text", ["churn@", "churn@x", "churn@0", "churn@-1", "churn@²", "@1"])
def test_anything_else_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidInputError):
        ingest.parse_reference(text)


def test_a_mark_for_none_that_the_rules_do_not_know_is_told_with_both_ways_out(
    project: Project,
) -> None:
    file = project.root / "regions.csv"
    file.write_text("region,y\n" + "EU,1\nUS,2\n,3\n" * 20)
    ingest.add(project, "regions", FileSource(file), target="y")
    file.write_text("region,y\n" + "EU,1\nNA,2\n" * 20)
    with pytest.raises(CheckFailedError, match="--accept region=NA; if they mean missing") as told:
        ingest.add(project, "regions", FileSource(file))
    assert "--missing NA" in str(told.value)
    ingest.add(project, "regions", FileSource(file, Stated(missing=("NA",))))
