"""Write actuals to the database: a contradicting value is refused or recorded as a correction.

The current value is that of the table ``actual``, else that of a sealed segment.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from mlkit.errors import BusyError, ConflictError
from mlkit.project import Project, Session
from mlkit.store import audit, predictions
from mlkit.store.corrections import ActualCorrection
from mlkit.store.disk import failpoints

ACTION = "actual correct"
_BATCH_ROWS = 10_000  # rows per write transaction
_MAX_PROBLEMS = 100
_ATTEMPTS = 5


class Known(NamedTuple):
    """A recorded actual: its JSON text, and when it was observed."""

    value: str
    observed_at: datetime | None


class Sent(NamedTuple):
    """A received actual: ``row`` is the sender's row number, ``model`` the predicting model.

    ``correct`` says that it may replace a recorded one.
    """

    row: int
    model: str
    prediction_id: str
    value: str
    observed_at: datetime
    correct: bool


class Stored(NamedTuple):
    """How many actuals are new, and how many replaced a recorded one."""

    accepted: int
    corrected: int


class Change(NamedTuple):
    """An actual that replaces a recorded one."""

    old: Known
    new: Sent


class Plan(NamedTuple):
    """What is to be written: new actuals and corrections; and the contradictions to refuse."""

    first: dict[str, Sent]
    changes: list[Change]
    contradictions: list[Sent]


class _Changed(Exception):  # noqa: N818  # no error: another writer was faster, retry
    """The database has changed since the plan was made."""


def plan(known: Mapping[str, Known], rows: Sequence[Sent]) -> Plan:
    """Return the effect of ``rows``, applied in order, on the recorded actuals ``known``.

    A repeated value has no effect, even if its observation time differs.
    """
    made = Plan({}, [], [])
    now = dict(known)
    for row in rows:
        before = now.get(row.prediction_id)
        if before is None:
            made.first[row.prediction_id] = row
        elif _same(before.value, row.value):
            continue
        elif not row.correct:
            made.contradictions.append(row)
            continue
        else:
            made.changes.append(Change(before, row))
        now[row.prediction_id] = Known(row.value, row.observed_at)
    return made


def store(
    project: Project, rows: Sequence[Sent], sealed: Mapping[str, Known | None], actor: str
) -> Stored:
    """Write ``rows``; ``sealed`` maps predictions in segments to the actual sealed with them.

    Raises ConflictError if one that is no correction contradicts a recorded actual or another one
    of ``rows``; then nothing is stored. ``details["problems"]`` names them.
    """
    if len(rows) > _BATCH_ROWS:  # a single transaction finds conflicts itself
        with project.read() as s:
            _refuse(plan(_on_record(s, rows, sealed), rows), stored=0)
    accepted = corrected = 0
    for at in range(0, len(rows), _BATCH_ROWS):
        done = _store_batch(project, rows[at : at + _BATCH_ROWS], sealed, (actor, at))
        accepted, corrected = accepted + done.accepted, corrected + done.corrected
    return Stored(accepted, corrected)


def _store_batch(
    project: Project,
    rows: Sequence[Sent],
    sealed: Mapping[str, Known | None],
    by: tuple[str, int],
) -> Stored:
    actor, stored = by
    recent = list({row.prediction_id for row in rows} - sealed.keys())
    for _ in range(_ATTEMPTS):
        try:
            with project.write() as s:
                if len(predictions.versions_of(s, recent)) != len(recent):
                    raise BusyError("predictions were moved or erased meanwhile; try again")
                made = plan(_on_record(s, rows, sealed), rows)
                _refuse(made, stored=stored)
                _write(s, made, project.now(), actor)
                failpoints.reach("actuals.written")
                return Stored(len(made.first), len(made.changes))
        except _Changed:
            continue
    raise BusyError("others keep sending actuals for the same predictions; try again")


def _on_record(
    s: Session, rows: Sequence[Sent], sealed: Mapping[str, Known | None]
) -> dict[str, Known]:
    ids = list({row.prediction_id for row in rows})
    known = {each: old for each in ids if (old := sealed.get(each)) is not None}
    stored = predictions.stored_actuals(s, ids)
    return known | {each.prediction_id: Known(each.value, each.observed_at) for each in stored}


def _refuse(made: Plan, *, stored: int) -> None:
    if not made.contradictions:
        return
    first, *others = made.contradictions
    more = f" and {len(others)} more rows" if others else ""
    rest = f"the first {stored} rows were stored" if stored else "nothing was stored"
    problems = [
        {"row": row.row, "column": "actual", "problem": _problem(row)}
        for row in made.contradictions[:_MAX_PROBLEMS]
    ]
    raise ConflictError(
        f"row {first.row}: {_problem(first)}{more}; {rest}. If the new ones are right, say so: "
        '"correct": true over HTTP, mlkit actual add --correct',
        {"problems": problems},
    )


def _problem(row: Sent) -> str:
    return f"prediction {row.prediction_id} has another actual already"


def _write(s: Session, made: Plan, now: datetime, actor: str) -> None:
    """Write a plan; raises _Changed if another transaction has changed its actuals."""
    newest = {**made.first, **{change.new.prediction_id: change.new for change in made.changes}}
    replaced = [change.new.prediction_id for change in made.changes]
    for old in predictions.stored_actuals(s, replaced):
        row = newest.pop(old.prediction_id)
        if not predictions.replace_actual(s, old, row.value, row.observed_at):
            raise _Changed
    predictions.add_actuals(
        s,
        [
            {
                "prediction_id": row.prediction_id,
                "value": row.value,
                "observed_at": row.observed_at,
                "received_at": now,
            }
            for row in newest.values()
        ],
    )
    written = {
        each.prediction_id: each.value for each in predictions.stored_actuals(s, list(newest))
    }
    if any(written[identifier] != row.value for identifier, row in newest.items()):
        raise _Changed
    _record(s, made.changes, now, actor)


def _record(s: Session, changes: Sequence[Change], now: datetime, actor: str) -> None:
    """Store the old values; the audit trail records the correction without the new value."""
    for model in sorted({change.new.model for change in changes}):
        made = [
            ActualCorrection(
                prediction_id=new.prediction_id,
                old_value=old.value,
                new_value=new.value,
                old_observed_at=old.observed_at,
                new_observed_at=new.observed_at,
                corrected_at=now,
                actor=actor,
            )
            for old, new in changes
            if new.model == model
        ]
        s.add_all(made)
        s.flush()
        details = {"actuals": len(made), "first": made[0].seq, "last": made[-1].seq}
        audit.record(s, now, actor=actor, action=ACTION, subject=model, details=details)


def _same(one: str, other: str) -> bool:
    """Tell whether two JSON texts have the same value: 1 and 1.0 do, 1 and true do not."""
    if one == other:
        return True
    a, b = msgspec.json.decode(one), msgspec.json.decode(other)
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (a, b))
    return numbers and a == b
