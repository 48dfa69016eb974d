"""What really happened: accept actuals for predictions that this project has made."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.flows import input_schema, log_import
from mlkit.project import Project
from mlkit.steps.columns import InputSchema
from mlkit.store import failpoints, predictions, registry

_MAX_PROBLEMS = 100
_BATCH_ROWS = 10_000  # of one write transaction
_WORDS = {"true": True, "false": False}


class ActualItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The true value for one prediction; without ``observed_at`` it is taken as seen now."""

    prediction_id: str
    actual: str | int | float | bool
    observed_at: datetime | None = None


class Received(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a batch: the first actual of a prediction stands, later ones are counted.

    ``unknown_labels`` says how often a label came that the model has never seen; it is
    told only if there is one.
    """

    accepted: int
    duplicates: int
    unknown: list[str]
    unknown_labels: dict[str, int] = {}


def add(project: Project, items: Sequence[ActualItem], *, from_text: bool = False) -> Received:
    """Store the actuals whose predictions are known; none if one value is unfit.

    ``from_text`` reads text as the target needs it: in a CSV file everything is text. Raises
    InvalidInputError whose ``details["problems"]`` names every ``{"row", "column", "problem"}``.
    """
    ids = list(dict.fromkeys(item.prediction_id for item in items))
    schemas, settled = _look_up(project, ids)
    now = project.now()
    rows: dict[str, dict[str, Any]] = {}
    problems: list[dict[str, object]] = []
    strange: Counter[str] = Counter()
    for place, item in enumerate(items):
        schema = schemas.get(item.prediction_id)
        if schema is None:
            continue
        try:
            value = label(schema, read(schema, item.actual) if from_text else item.actual)
        except InvalidInputError as error:
            problems.append({"row": place, "column": "actual", "problem": str(error)})
            continue
        row = {
            "prediction_id": item.prediction_id,
            "value": msgspec.json.encode(value).decode(),
            "observed_at": _aware(item.observed_at) or now,
            "received_at": now,
        }
        if item.prediction_id in rows:
            continue
        rows[item.prediction_id] = row
        if schema.task == "classification" and value not in schema.classes:
            strange[str(value)] += 1
    _refuse(problems)
    accepted = 0
    fresh = list(rows.values())
    for at in range(0, len(fresh), _BATCH_ROWS):
        accepted += _store(project, fresh[at : at + _BATCH_ROWS], settled)
    unknown = [identifier for identifier in ids if identifier not in schemas]
    known = sum(item.prediction_id in schemas for item in items)
    return Received(
        accepted=accepted,
        duplicates=known - accepted,
        unknown=unknown,
        unknown_labels=dict(strange.most_common(_MAX_PROBLEMS)),
    )


def label(schema: InputSchema, value: str | float) -> str | float:
    """Return ``value`` as a target of this model has it; raises InvalidInputError.

    A label that the model has never seen is accepted: the world may have a new one. It is told
    to whoever sends it, and nothing is measured by it or learned from it (``unknown_labels``).
    """
    if schema.task == "regression":
        if isinstance(value, bool | str) or not math.isfinite(value):
            raise InvalidInputError(f"{value!r} is not a number")
        return float(value)
    kinds = {type(known) for known in schema.classes}
    if type(value) in kinds:
        return value
    if int in kinds and isinstance(value, float) and value.is_integer():
        return int(value)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    known = ", ".join(str(known) for known in schema.classes[:10])
    raise InvalidInputError(f"{value!r} is not a label like {known}")


def read(schema: InputSchema, value: str | float) -> str | float:
    """Return text as the number or truth value that this model's target is, if it is one."""
    kinds = {type(known) for known in schema.classes}
    if not isinstance(value, str) or str in kinds:
        return value
    if bool in kinds:
        return _WORDS.get(value.strip().lower(), value)
    try:
        return float(value)
    except ValueError:
        return value


def _store(project: Project, rows: Sequence[dict[str, Any]], settled: set[str]) -> int:
    with project.write() as s:
        known = settled | predictions.with_actual(s, [row["prediction_id"] for row in rows])
        new = [row for row in rows if row["prediction_id"] not in known]
        predictions.add_actuals(s, new)
        failpoints.reach("actuals.written")
    return len(new)


def _look_up(project: Project, ids: Sequence[str]) -> tuple[dict[str, InputSchema], set[str]]:
    """Return the input schema behind each known id, and the sealed ids that have an actual."""
    with project.read() as s:
        found = predictions.versions_of(s, ids)
    if len(found) < len(ids):
        log_import.sync(project)  # predictions that were answered a moment ago
        with project.read() as s:
            found = predictions.versions_of(s, ids)
    missing = [identifier for identifier in ids if identifier not in found]
    settled: set[str] = set()
    if missing:
        from mlkit.flows import log_segments  # pyarrow, only for very late actuals

        sealed = log_segments.locate(project, missing)
        found |= {identifier: version_id for identifier, (version_id, _) in sealed.items()}
        settled = {identifier for identifier, (_, has_actual) in sealed.items() if has_actual}
    return _schemas(project, found), settled


def _schemas(project: Project, version_of: Mapping[str, int]) -> dict[str, InputSchema]:
    schemas: dict[int, InputSchema] = {}
    with project.read() as s:
        for version_id in set(version_of.values()):
            version = s.get_one(registry.ModelVersion, version_id)
            schemas[version_id] = input_schema.of(version)
    return {identifier: schemas[version_id] for identifier, version_id in version_of.items()}


def _aware(at: datetime | None) -> datetime | None:
    if at is None:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _refuse(problems: Sequence[Mapping[str, object]]) -> None:
    if problems:
        first = problems[0]
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise InvalidInputError(
            f"row {first['row']}: {first['problem']}{more}; nothing was stored",
            {"problems": list(problems[:_MAX_PROBLEMS])},
        )
