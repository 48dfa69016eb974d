"""What a window is compared with: earlier stretches of the log, baselines, and who changed that."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pandas as pd
import pytest
from sqlalchemy import select

from mlkit.errors import ConflictError, InvalidInputError, NotFoundError
from mlkit.flows.alerts import alerting
from mlkit.flows.data import leftovers, named_files
from mlkit.flows.doctor import checkup
from mlkit.flows.monitoring import baselines, monitor
from mlkit.flows.monitoring.drift_watch import DriftChecked
from mlkit.flows.operations import status
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.steps.drift import reference
from mlkit.store import audit, log_view, registry, reports
from mlkit.store.audit import AuditEvent
from mlkit.store.disk import blobs
from mlkit.store.log_columns import Prediction
from mlkit.store.reports import DriftReport

Frames = Callable[..., pd.DataFrame]
Answer = Callable[..., None]

HALF_A_DAY = timedelta(hours=12)
WEEK = timedelta(weeks=1)


def older(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(age=frame["age"] + 25)


def with_drift(project: Project, **changes: Any) -> Project:
    chosen = msgspec.structs.replace(project.settings.drift, **changes)
    settings = msgspec.structs.replace(project.settings, drift=chosen)
    return Project(project.root, settings, project.database, project.clock_file)


def events(project: Project, *actions: str) -> list[tuple[str, str, dict[str, Any]]]:
    with project.read() as s:
        found = s.scalars(select(AuditEvent).where(AuditEvent.action.in_(actions)))
        return [(event.action, event.subject, event.details) for event in found]


def take_over(project: Project, *, with_another: bool = False) -> None:
    """Promote a copy of the champion, that may know one more input: the deployment of v2."""
    with project.write() as s:
        model = registry.get_model(s, "churn")
        old = registry.get_version(s, model, 1)
        names = [a.key for a in registry.ModelVersion.__mapper__.column_attrs if a.key != "id"]
        copy = registry.ModelVersion(**{name: getattr(old, name) for name in names})
        copy.number = 2
        copy.signature = blobs.sign(project.key, "churn", 2, copy.artifact_sha256)
        s.add(copy)
        s.flush()
        if with_another:
            columns = [c for c in old.input_schema["columns"] if c["name"] != "plan"]
            old.input_schema = {**old.input_schema, "columns": columns}
        log_view.refresh(s, model)
    deploy.promote(project, "churn", 2, reason="test", force=True)


def checked(project: Project, against: str, **more: Any) -> DriftChecked:
    return monitor.check_drift(project, "churn", against=against, **more)


def names_of(found: DriftChecked) -> set[str]:
    return {feature.column for feature in found.features}


def test_the_previous_window_is_that_of_the_same_length_just_before(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, older(churn(rows=400, seed=5)), age=timedelta(hours=36))
    answer(trained, older(churn(rows=300, seed=6)), age=HALF_A_DAY)
    assert checked(trained, "training").verdict == "drift"
    found = checked(trained, "previous")
    assert (found.verdict, found.reference.kind, found.warnings) == ("ok", "previous", ())
    assert (found.rows.reference, found.rows.current) == (400, 300)
    used = found.reference
    assert (used.start, used.end) == (found.window.start - timedelta(days=1), found.window.start)
    assert names_of(found) == {"age", "plan", "spend", "active", "prediction(value)",
                               "probability(yes)"}  # fmt: skip


def test_what_has_moved_since_the_window_before_is_drift(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=400, seed=5), age=timedelta(hours=36))
    answer(trained, older(churn(rows=300, seed=6)), age=HALF_A_DAY)
    assert "age" in checked(trained, "previous").drifted


def test_the_same_hours_of_the_weeks_before_are_usual_though_training_never_saw_them(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=10, seed=1), age=5 * WEEK)
    for weeks in range(5):
        answer(trained, older(churn(rows=300, seed=weeks)), age=HALF_A_DAY + weeks * WEEK)
        answer(trained, churn(rows=300, seed=9), age=timedelta(days=3) + weeks * WEEK)
    assert checked(trained, "training").verdict == "drift"
    found = checked(trained, "seasonal")
    assert (found.verdict, found.reference.weeks, found.rows.reference) == ("ok", 4, 1_200)
    assert found.reference.start == found.window.start - 4 * WEEK
    assert found.reference.end == found.window.end - WEEK
    assert "(seasonal, 4 weeks)" in found.reference.in_words


def test_a_week_with_an_outage_or_before_the_log_began_is_left_out(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    for weeks, rows in ((0, 300), (1, 300), (2, 80), (3, 300)):
        frame = churn(rows=rows, seed=weeks)
        answer(trained, frame, age=HALF_A_DAY + weeks * WEEK)
    found = checked(trained, "seasonal")
    assert (found.reference.weeks, found.rows.reference) == (1, 300)
    answer(trained, churn(rows=1), age=timedelta(days=23))  # then the third is whole as well
    found = checked(trained, "seasonal")
    assert (found.reference.weeks, found.rows.reference) == (2, 600)


def test_windows_longer_than_a_week_go_back_by_as_many_weeks(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=1), age=timedelta(days=30))
    answer(trained, churn(rows=300, seed=3), age=timedelta(days=20))
    answer(trained, churn(rows=300, seed=4), age=timedelta(days=10, hours=-1))
    found = checked(trained, "seasonal", window="10d")
    assert found.reference.end == found.window.end - 2 * WEEK
    assert (found.rows.reference, found.rows.current) == (300, 300)


def test_a_log_without_such_rows_gives_no_verdict(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=3))
    for against in ("previous", "seasonal"):
        found = checked(trained, against)
        assert found.verdict == "insufficient_data"
        assert found.warnings[0] == f"no_reference: the log has no rows for '{against}'"
        assert found.summary == "v1 insufficient data: 0 rows of the reference"


def test_answers_of_another_version_are_left_out_and_inputs_are_not(
    trained: Project, churn: Frames, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(trained, churn(rows=400, seed=5), age=timedelta(hours=36))
    now = trained.now()
    with monkeypatch.context() as patch:
        patch.setattr(Project, "now", lambda _: now - timedelta(days=1, minutes=1))
        take_over(trained)
    answer(trained, churn(rows=300, seed=6), age=HALF_A_DAY)
    found = checked(trained, "previous")
    assert (found.version, found.verdict, found.rows.reference) == (2, "ok", 400)
    assert names_of(found) == {"age", "plan", "spend", "active"}
    assert found.warnings == (
        "answers_left_out: v2 answered too few rows of the reference (0 that count), so only the "
        "inputs are compared",
    )


def test_a_window_that_began_before_the_deployment_is_compared_from_there(
    trained: Project, churn: Frames, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = trained.now() + timedelta(days=9)
    monkeypatch.setattr(Project, "now", lambda _: later)
    answer(trained, churn(rows=300, seed=4), age=timedelta(hours=10))
    with monkeypatch.context() as patch:
        patch.setattr(Project, "now", lambda _: later - timedelta(hours=6))
        take_over(trained)
    answer(trained, churn(rows=250, seed=6), age=timedelta(hours=1))
    found = checked(trained, "previous")
    assert found.reference.end == later - timedelta(hours=6)
    assert (found.rows.reference, found.rows.current, found.verdict) == (300, 250, "ok")


def test_an_input_that_earlier_versions_lacked_is_no_drift_of_missing_values(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=400, seed=5)
    answer(trained, frame, age=timedelta(hours=36))
    with trained.write() as s:  # what v1 was asked, without the plan
        for row in s.scalars(select(Prediction)):
            features = msgspec.json.decode(row.features)
            row.features = msgspec.json.encode([features[0], *features[2:]]).decode()
    take_over(trained, with_another=True)
    answer(trained, churn(rows=300, seed=6), age=timedelta(hours=1))
    baselines.add(trained, "churn", "before", baselines.window(trained, length="3d", start=None,
                                                               end=None))  # fmt: skip
    found = checked(trained, "before")
    assert found.verdict == "ok"
    assert "missing(plan)" not in {feature.name for feature in found.features}
    assert {"age", "plan", "prediction(value)"} <= names_of(found)
    found = checked(trained, "previous", window="12h")
    assert any(warning.startswith("no_reference") for warning in found.warnings)


def test_a_baseline_keeps_what_the_log_was_like(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, older(churn(rows=500, seed=5)), age=timedelta(days=9))
    stretch = baselines.window(trained, length=None, start="20d", end="2d")
    made = baselines.add(trained, "churn", "spring", stretch)
    assert (made.rows, made.versions, made.answers_of, made.used) == (500, [1], 1, False)
    assert baselines.list_baselines(trained) == [made]
    assert baselines.list_baselines(trained, "churn") == [made]
    kept = reference.load(trained.references.read(made.sha256))
    assert (kept.rows, kept.sizes, kept.span_s) == (500, (), 4_990.0)  # of itself alone
    answer(trained, older(churn(rows=300, seed=6)))
    found = checked(trained, "spring")
    assert (found.verdict, found.reference.kind, found.reference.name) == (
        "ok", "baseline", "spring",
    )  # fmt: skip
    assert found.rows.reference == 500
    assert "prediction(value)" in names_of(found)
    assert baselines.remove(trained, "churn", "spring").name == "spring"
    with pytest.raises(NotFoundError, match="no baseline of churn named 'spring'; known: none"):
        checked(trained, "spring")
    assert [(action, subject, details["name"], details["rows"])
            for action, subject, details in events(trained, "baseline-add", "baseline-remove")] == [
        ("baseline-add", "churn", "spring", 500), ("baseline-remove", "churn", "spring", 500),
    ]  # fmt: skip


def test_a_baseline_has_no_answers_for_another_version(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5), age=timedelta(days=3))
    stretch = baselines.window(trained, length="5d", start=None, end=None)
    baselines.add(trained, "churn", "spring", stretch)
    take_over(trained)
    answer(trained, churn(rows=300, seed=6), age=timedelta(hours=1))
    found = checked(trained, "spring")
    assert (found.verdict, names_of(found)) == ("ok", {"age", "plan", "spend", "active"})
    assert found.warnings == (
        "answers_left_out: the baseline 'spring' has no answers of v2, so only the inputs are "
        "compared",
    )


@pytest.mark.usefixtures("warm_loading")
def test_the_file_of_a_baseline_is_backed_up_checked_and_swept_when_it_is_gone(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5))
    stretch = baselines.window(trained, length="1d", start=None, end=None)
    made = baselines.add(trained, "churn", "spring", stretch)
    file = trained.references.path(made.sha256)
    with trained.read() as s:
        assert named_files.of(s, trained)[str(file.relative_to(trained.root))] == made.sha256
    assert leftovers.find(trained) == []
    file.write_bytes(b"damaged")
    failed = [c.found for c in checkup.examine(trained.root).checks if c.level == "fail"]
    assert any(line.startswith("baseline 'spring' of churn: ") for line in failed)
    baselines.remove(trained, "churn", "spring")
    assert leftovers.find(trained) == [file]


def test_a_baseline_that_checks_compare_with_is_not_removed(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5))
    stretch = baselines.window(trained, length="1d", start=None, end=None)
    baselines.add(trained, "churn", "spring", stretch)
    project = with_drift(trained, reference="spring")
    assert [line.used for line in baselines.list_baselines(project)] == [True]
    with pytest.raises(ConflictError, match="set drift"):
        baselines.remove(project, "churn", "spring")
    assert monitor.check_drift(project, "churn").standing


def test_what_cannot_be_a_baseline_is_refused(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    day = baselines.window(trained, length="1d", start=None, end=None)
    with pytest.raises(InvalidInputError, match="'seasonal' means something else"):
        baselines.add(trained, "churn", "seasonal", day)
    with pytest.raises(InvalidInputError, match="cannot name a baseline"):
        baselines.add(trained, "churn", "../x", day)
    with pytest.raises(InvalidInputError, match="has 0 rows of that time, 200 are needed"):
        baselines.add(trained, "churn", "spring", day)
    answer(trained, churn(rows=300, seed=5))
    baselines.add(trained, "churn", "spring", day)
    with pytest.raises(ConflictError, match="there is a baseline 'spring' of churn already"):
        baselines.add(trained, "churn", "spring", day)
    with pytest.raises(InvalidInputError, match="the start 1d is not before the end"):
        baselines.window(trained, length=None, start="1d", end="2d")


def test_a_check_of_a_persons_choice_is_on_record_and_nothing_else(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, older(churn(rows=300, seed=5)), age=timedelta(days=2))
    found = checked(trained, "training", window="7d")
    assert (found.verdict, found.standing) == ("drift", False)
    assert alerting.ongoing(trained) == []
    assert status.read(trained).models[0].drift is None
    with trained.read() as s:
        (report,) = s.scalars(select(DriftReport)).all()
        assert not report.standing
        assert reports.drift_pace(s, report.model_id, report.window_start) == (0, None)
    answer(trained, older(churn(rows=300, seed=6)))
    assert checked(trained, "training", window="24h").standing
    assert [alert.key for alert in alerting.ongoing(trained)] == ["drift:churn"]
    answer(trained, older(churn(rows=300, seed=7)), age=timedelta(hours=30))
    assert checked(trained, "previous").verdict == "ok"
    assert [alert.key for alert in alerting.ongoing(trained)] == ["drift:churn"]
    line = status.read(trained).models[0].drift
    assert line is not None
    assert line.verdict == "drift"


def test_a_changed_reference_is_audited_once(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5))
    monitor.check_drift(trained, "churn")
    changed = with_drift(trained, reference="previous")
    for _ in range(2):
        monitor.check_drift(changed, "churn")
        checked(changed, "training")  # of a person, who changes nothing
    monitor.check_drift(trained, "churn")
    assert events(trained, "reference") == [
        ("reference", "churn", {"from": "training", "to": "previous"}),
        ("reference", "churn", {"from": "previous", "to": "training"}),
    ]
    with trained.read() as s:
        assert audit.first_break(s) is None
