"""Actuals that contradict: refused with their rows, or corrected on record, never ignored."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from mlkit.errors import ConflictError, InvalidInputError
from mlkit.flows.log import actual_writes, actuals, logs, retention
from mlkit.flows.log.actual_writes import Known, Sent
from mlkit.flows.log.actuals import ActualItem
from mlkit.project import Project
from mlkit.steps.inputs.columns import InputSchema
from mlkit.store import corrections, predictions
from mlkit.store.audit import AuditEvent
from mlkit.store.log_columns import Actual

SEEN = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def ids(
    trained: Project, churn: Callable[..., pd.DataFrame], answer: Callable[..., None]
) -> list[str]:
    """Ids of predictions whose truth is not known yet."""
    answer(trained, churn(rows=6).drop(columns="since"), known=0.0)
    return list(logs.read(trained, "churn")["_id"].to_pylist())


def _known(project: Project) -> dict[str, str]:
    table = logs.read(project, "churn", actuals="required")
    return dict(zip(table["_id"].to_pylist(), table["_actual"].to_pylist(), strict=True))


def _seal(project: Project) -> None:
    clock = project.root / "clock"
    clock.write_text((datetime.now(UTC) + timedelta(days=40)).isoformat())
    assert retention.seal(replace(project, clock_file=clock)).rows > 0


def test_the_same_value_again_is_a_duplicate(trained: Project, ids: list[str]) -> None:
    item = ActualItem(ids[0], "yes", SEEN)
    assert actuals.add(trained, [item, item]).accepted == 1
    again = actuals.add(trained, [ActualItem(ids[0], "yes"), ActualItem(ids[0], "yes", SEEN)])
    assert (again.accepted, again.duplicates, again.corrected) == (0, 2, 0)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_contradiction_stores_nothing_and_names_its_rows(
    trained: Project, ids: list[str], *, sealed: bool
) -> None:
    actuals.add(trained, [ActualItem(ids[0], "yes"), ActualItem(ids[1], "no")])
    if sealed:
        _seal(trained)
    items = [
        ActualItem(ids[2], "yes"),
        ActualItem(ids[0], "no"),
        ActualItem(ids[1], "no"),
        ActualItem(ids[1], "yes"),
    ]
    with pytest.raises(ConflictError, match="and 1 more rows; nothing was stored") as refused:
        actuals.add(trained, items)
    assert [each["row"] for each in refused.value.details["problems"]] == [1, 3]
    assert _known(trained) == {ids[0]: "yes", ids[1]: "no"}


def test_a_batch_that_contradicts_itself_stores_nothing(trained: Project, ids: list[str]) -> None:
    with pytest.raises(ConflictError, match="row 1: prediction"):
        actuals.add(trained, [ActualItem(ids[0], "yes"), ActualItem(ids[0], "no")])
    assert _known(trained) == {}


@pytest.mark.parametrize("sealed", [False, True])
def test_a_correction_counts_and_the_old_value_stays_on_record(
    trained: Project, ids: list[str], *, sealed: bool
) -> None:
    actuals.add(trained, [ActualItem(ids[0], "yes", SEEN), ActualItem(ids[1], "no", SEEN)])
    if sealed:
        _seal(trained)
    later = SEEN + timedelta(days=1)
    done = actuals.add(
        trained,
        [ActualItem(ids[0], "no", later, correct=True), ActualItem(ids[1], "no", correct=True)],
        actor="token shop:1",
    )
    assert (done.accepted, done.corrected, done.duplicates) == (0, 1, 1)
    table = logs.read(trained, "churn", actuals="required").sort_by("_id")
    assert table["_actual"].to_pylist() == ["no", "no"]
    assert table["_observed_at"].to_pylist() == [later, SEEN]
    with trained.read() as s:
        (kept,) = corrections.of(s, ids[0])
        event = s.scalars(select(AuditEvent).order_by(AuditEvent.seq.desc())).first()
    assert (kept.old_value, kept.new_value, kept.actor) == ('"yes"', '"no"', "token shop:1")
    assert (kept.old_observed_at, kept.new_observed_at) == (SEEN, later)
    assert event is not None
    assert (event.action, event.subject, event.actor) == ("actual correct", "churn", "token shop:1")
    assert event.details == {"actuals": 1, "first": kept.seq, "last": kept.seq}
    with pytest.raises(ConflictError):
        actuals.add(trained, [ActualItem(ids[0], "yes")])
    assert actuals.add(trained, [ActualItem(ids[0], "no")]).duplicates == 1


def test_corrections_go_back_and_forth_and_within_one_batch(
    trained: Project, ids: list[str]
) -> None:
    items = [ActualItem(ids[0], value, correct=True) for value in ("yes", "no", "no", "yes", "no")]
    done = actuals.add(trained, items)
    assert (done.accepted, done.corrected, done.duplicates) == (1, 3, 1)
    assert _known(trained) == {ids[0]: "no"}
    with trained.read() as s:
        found = [(each.old_value, each.new_value) for each in corrections.of(s, ids[0])]
    assert found == [('"yes"', '"no"'), ('"no"', '"yes"'), ('"yes"', '"no"')]


def test_a_correction_does_not_move_when_the_first_actual_came(
    trained: Project, ids: list[str]
) -> None:
    actuals.add(trained, [ActualItem(ids[0], "yes")])
    with trained.read() as s:
        came = s.get_one(Actual, ids[0]).received_at
    actuals.add(trained, [ActualItem(ids[0], "no", correct=True)])
    with trained.read() as s:
        assert s.get_one(Actual, ids[0]).received_at == came


def test_a_correction_while_its_row_is_being_sealed_is_not_lost(
    trained: Project, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    actuals.add(trained, [ActualItem(ids[0], "yes")])

    def reach(name: str) -> None:
        if name == "seal.file" and _known(trained)[ids[0]] == "yes":
            actuals.add(trained, [ActualItem(ids[0], "no", correct=True)])

    monkeypatch.setattr(retention.failpoints, "reach", reach)
    _seal(trained)
    assert _known(trained) == {ids[0]: "no"}


def test_erasing_takes_what_was_corrected_along(trained: Project, ids: list[str]) -> None:
    actuals.add(trained, [ActualItem(ids[0], "yes")])
    actuals.add(trained, [ActualItem(ids[0], "no", correct=True)])
    with trained.write() as s:
        predictions.forget(s, ids)
    with trained.read() as s:
        assert corrections.of(s, ids[0]) == []


def test_predictions_of_other_models_are_as_unknown_as_none(
    trained: Project, ids: list[str]
) -> None:
    items = [ActualItem(ids[0], "nonsense"), ActualItem("absent", "yes")]
    label_of_another_model = ActualItem(ids[1], 3.5)
    done = actuals.add(trained, [*items, label_of_another_model], models={"spam"})
    assert (done.accepted, done.unknown) == (0, [ids[0], "absent", ids[1]])
    assert _known(trained) == {}


def test_of_contradicting_twins_at_once_exactly_one_wins(trained: Project, ids: list[str]) -> None:
    for identifier in ids[:4]:
        start = threading.Barrier(2)
        outcomes: list[str] = []

        def tell(
            value: str, identifier: str = identifier, start: Any = start, said: Any = outcomes
        ) -> None:
            start.wait()
            try:
                said.append(f"{actuals.add(trained, [ActualItem(identifier, value)]).accepted}")
            except ConflictError:
                said.append("refused")

        threads = [threading.Thread(target=tell, args=(value,)) for value in ("yes", "no")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["1", "refused"]


def test_a_large_batch_is_looked_through_before_anything_is_stored(
    trained: Project, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actual_writes, "_BATCH_ROWS", 2)
    actuals.add(trained, [ActualItem(ids[5], "yes")])
    items = [ActualItem(identifier, "no") for identifier in ids]
    with pytest.raises(ConflictError, match=r"row 5: prediction .* nothing was stored"):
        actuals.add(trained, items)
    assert _known(trained) == {ids[5]: "yes"}
    assert actuals.add(trained, items[:5]).accepted == 5


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [("1", "1.0", True), ("1", "true", False), ("0.0", "-0.0", True), ('"1"', "1", False),
     ("2.5", "2.5000000000000004", False), ('"yes"', '"yes"', True)],
)  # fmt: skip
def test_a_value_is_the_same_by_what_it_says(old: str, new: str, *, same: bool) -> None:
    row = Sent(0, "m", "p", new, SEEN, correct=False)
    made = actual_writes.plan({"p": Known(old, None)}, [row])
    assert (made.contradictions == []) == same


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_no_clock_in_utc_shows_is_refused_by_row(
    trained: Project, ids: list[str], text: str
) -> None:
    items = [
        ActualItem(ids[0], "yes", SEEN),
        ActualItem(ids[1], "no", datetime.fromisoformat(text)),
    ]
    with pytest.raises(InvalidInputError, match=r"row 1: .* beyond the years 1 to 9999") as told:
        actuals.add(trained, items)
    assert told.value.details["problems"][0]["column"] == "observed_at"
    assert not _known(trained)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 1e30, 10**400])
def test_a_whole_label_has_64_bits(value: float) -> None:
    schema = InputSchema(columns=(), target="y", task="classification", classes=(0, 1))
    with pytest.raises(InvalidInputError, match="does not fit into 64 bits"):
        actuals.label(schema, value)
    assert actuals.label(schema, 2.0**62) == 2**62
