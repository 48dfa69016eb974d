import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from mlkit.errors import CheckFailedError, InvalidInputError, NotFoundError
from mlkit.flows.data import acceptance, ingest, quarantine, rule_edits
from mlkit.project import Project
from mlkit.store import datasets

Churn = Callable[..., pd.DataFrame]


@pytest.fixture
def added(project: Project, churn_csv: Path) -> Project:
    """A project with one version of the dataset churn."""
    ingest.add(project, "churn", churn_csv, target="churned", time="since")
    return project


@pytest.fixture
def odd(churn: Churn, tmp_path: Path) -> Path:
    """The next rows, of which row 3 has an age, and rows 5 and 6 have a plan, never seen before."""
    frame = churn(seed=1)
    frame.loc[2, "age"] = 900
    frame.loc[[4, 5], "plan"] = "gold"
    frame.to_csv(tmp_path / "odd.csv", index=False)
    return tmp_path / "odd.csv"


def _allow(project: Project, line: str) -> None:
    file = acceptance.schema_file(project, "churn")
    file.write_text(f"{file.read_text()}{line}\n")


def test_a_refusal_leaves_the_failing_rows_with_numbers_and_reasons(
    added: Project, odd: Path
) -> None:
    with pytest.raises(CheckFailedError, match="the 3 failing rows, with the reasons") as refused:
        ingest.add(added, "churn", odd)
    file = added.root / refused.value.details["quarantine"]
    rows = pd.read_csv(file)
    assert rows["_row"].tolist() == [3, 5, 6]
    assert rows["_reasons"].tolist() == [
        f"age: {_rule(added, 'age')}", f"plan: {_rule(added, 'plan')}",
        f"plan: {_rule(added, 'plan')}",
    ]  # fmt: skip
    assert rows["age"].iloc[0] == 900
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(CheckFailedError):
        ingest.add(added, "churn", odd)
    assert len(quarantine.listed(added)) == 1


def _rule(project: Project, column: str) -> str:
    shown = rule_edits.show(project, "churn").rules
    return next(r.rule for r in shown if r.column == column and r.rule.startswith(("in_", "isin")))


def test_where_the_rules_say_so_the_rest_becomes_the_version(added: Project, odd: Path) -> None:
    _allow(added, "quarantine: 0.01")
    version = ingest.add(added, "churn", odd)
    assert (version.version, version.rows) == (2, 397)
    (warning,) = [text for text in version.warnings if text.startswith("quarantine:")]
    assert "3 of 400 rows break rules and are in quarantine/churn-" in warning
    assert "--accept plan=gold" in warning
    with added.read() as s:
        made = datasets.get_version(s, "churn", 2).transformation
    assert made["kind"] == "file"
    assert made["quarantine"]["rows"] == 3


def test_more_failing_rows_than_the_rules_allow_are_refused(added: Project, odd: Path) -> None:
    _allow(added, "quarantine: 0.005")
    with pytest.raises(CheckFailedError):
        ingest.add(added, "churn", odd)


def test_what_is_wrong_with_the_whole_is_refused_whatever_may_be_set_aside(
    added: Project, odd: Path
) -> None:
    _allow(added, "quarantine: true\nrows: {min_value: 398}")
    with pytest.raises(CheckFailedError, match="there are 397 rows"):
        ingest.add(added, "churn", odd)


def test_validate_writes_failing_rows_only_where_it_is_told_to(
    added: Project, odd: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckFailedError):
        ingest.validate(added, "churn", odd)
    assert not quarantine.listed(added)
    with pytest.raises(CheckFailedError, match=r"are in .*mine\.csv"):
        ingest.validate(added, "churn", odd, aside=tmp_path / "mine.csv")
    assert len(pd.read_csv(tmp_path / "mine.csv")) == 3
    with pytest.raises(InvalidInputError, match="cannot be written"):
        ingest.validate(added, "churn", odd, aside=tmp_path / "nowhere" / "mine.csv")


def test_files_are_listed_newest_first_and_removed_by_name_or_by_dataset(project: Project) -> None:
    project.quarantine_dir.mkdir()
    for place, name in enumerate(["a-000000000000", "a-b-000000000000", "a-111111111111"]):
        file = project.quarantine_dir / f"{name}.csv"
        file.write_text("x")
        os.utime(file, (place, place))
    assert [f.file[11:-17] for f in quarantine.listed(project)] == ["a", "a-b", "a"]
    assert [f.file for f in quarantine.listed(project, "a-b")] == [
        "quarantine/a-b-000000000000.csv"
    ]
    quarantine.remove(project, "quarantine/a-b-000000000000.csv")
    assert len(quarantine.remove(project, "a")) == 2
    assert not quarantine.listed(project)
    with pytest.raises(NotFoundError, match="no quarantine file or dataset named 'a'"):
        quarantine.remove(project, "a")


def test_a_file_that_goes_while_files_are_listed_is_not_listed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.quarantine_dir.mkdir()
    for name in ("a-000000000000", "a-111111111111"):
        (project.quarantine_dir / f"{name}.csv").write_text("x")
    found = sorted(project.quarantine_dir.glob("*"))

    def racing(_folder: Path, _pattern: str) -> Iterator[Path]:
        found[0].unlink(missing_ok=True)
        yield from found

    monkeypatch.setattr(Path, "glob", racing)
    assert [one.file for one in quarantine.listed(project)] == ["quarantine/a-111111111111.csv"]
    assert [one.file[11:] for one in quarantine.remove(project, "a")] == ["a-111111111111.csv"]


def test_only_the_newest_files_of_a_dataset_are_kept(
    added: Project, churn: Churn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "KEPT", 2)
    for age in (901, 902, 903):
        churn().assign(age=age).to_csv(tmp_path / "next.csv", index=False)
        with pytest.raises(CheckFailedError):
            ingest.add(added, "churn", tmp_path / "next.csv")
    assert len(quarantine.listed(added)) == 2


def test_a_refusal_for_a_new_value_ends_with_the_command_that_accepts_it(
    added: Project, churn: Churn, tmp_path: Path
) -> None:
    frame = churn(seed=1)
    frame.loc[[4, 5], "plan"] = "gold plus"
    frame.to_csv(tmp_path / "next.csv", index=False)
    with pytest.raises(CheckFailedError) as refused:
        ingest.add(added, "churn", tmp_path / "next.csv")
    text = str(refused.value)
    head = "dataset 'churn' refuses these rows: 'plan' has the new value 'gold plus' (2 rows)\n"
    assert text.startswith(head)
    assert "in schemas/churn.yaml: mlkit data rules churn --accept 'plan=gold plus'" in text
    assert refused.value.details["new_values"] == {"plan": ["gold plus"]}
    before = acceptance.schema_file(added, "churn").read_text()
    rule_edits.accept(added, "churn", ["plan=gold plus"])
    after = acceptance.schema_file(added, "churn").read_text()
    assert [line for line in after.splitlines() if line not in before.splitlines()] == [
        "    - gold plus"
    ]
    assert ingest.add(added, "churn", tmp_path / "next.csv").version == 2


def test_rows_that_drift_too_far_from_the_version_before_are_refused(
    added: Project, churn: Churn, tmp_path: Path
) -> None:
    file = acceptance.schema_file(added, "churn")
    file.write_text(file.read_text() + "max_drift: 0.3\n")
    churn(seed=1).to_csv(tmp_path / "same.csv", index=False)
    assert ingest.add(added, "churn", tmp_path / "same.csv").version == 2
    moved = churn(seed=2)
    moved["age"] = moved["age"].max()
    moved.to_csv(tmp_path / "moved.csv", index=False)
    with pytest.raises(CheckFailedError, match=r"'age': max_drift\(0.3\) broken: number by"):
        ingest.add(added, "churn", tmp_path / "moved.csv")
