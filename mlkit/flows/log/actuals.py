"""Accept actuals, the true values, for predictions that this project has made."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.flows.log import actual_writes, imports
from mlkit.flows.log.actual_writes import Known, Sent
from mlkit.flows.registry import input_schema
from mlkit.project import Project
from mlkit.steps.inputs import bounds
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.inputs.values import INT64_MAX, INT64_MIN, UnfitValueError, refuse_long
from mlkit.store import predictions, registry

if TYPE_CHECKING:
    from mlkit.flows.log.log_segments import Located

_MAX_PROBLEMS = 100
_TIME = msgspec.Meta(extra_json_schema={"format": "date-time"})  # without a zone it is UTC
_WORDS = {"true": True, "false": False}


class ActualItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The true value for one prediction; ``observed_at`` defaults to now.

    ``correct`` says that it may replace a recorded one.
    """

    prediction_id: str
    actual: str | int | float | bool
    observed_at: Annotated[datetime, _TIME] | None = None
    correct: bool = False


class Actuals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /actuals``; ``correct`` applies to all items."""

    items: list[ActualItem]
    correct: bool = False


class Received(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of a batch; duplicates repeat a recorded actual.

    ``corrected`` counts actuals that replaced another value, which stays on record.
    ``unknown_labels`` counts each label that the model has never seen. Both are omitted if empty.
    """

    accepted: int
    duplicates: int
    unknown: list[str]
    unknown_labels: dict[str, int] = {}
    corrected: int = 0


class _Logged(NamedTuple):
    """The known predictions: models and schemas by id, and the actuals of sealed ones."""

    models: dict[str, str]
    schemas: dict[str, InputSchema]
    sealed: dict[str, Known | None]


def add(
    project: Project,
    items: Sequence[ActualItem],
    *,
    from_text: bool = False,
    number: Callable[[str], float] = float,
    models: Collection[str] | None = None,
    actor: str | None = None,
) -> Received:
    """Store the actuals whose predictions are known; none if any value is invalid.

    ``from_text`` parses text as the target's type, numbers by ``number``, and counts rows from 1:
    for CSV files. Predictions of models other than ``models`` (None: any) count as unknown.
    ``actor`` is recorded as the author of a correction. Raises InvalidInputError for invalid
    values, and ConflictError for an actual that contradicts an earlier one and is no correction;
    both store nothing, and their ``details["problems"]`` name every ``{"row", "column",
    "problem"}``.
    """
    ids = list(dict.fromkeys(item.prediction_id for item in items))
    logged = _look_up(project, ids, models)
    now = project.now()
    rows: list[Sent] = []
    problems: list[dict[str, object]] = []
    strange: dict[str, str] = {}
    for place, item in enumerate(items, start=1 if from_text else 0):
        schema = logged.schemas.get(item.prediction_id)
        if schema is None:
            continue
        try:
            refuse_long(item.actual, project.settings.server.max_text_chars)
            value = label(schema, read(schema, item.actual, number) if from_text else item.actual)
        except (InvalidInputError, UnfitValueError) as error:
            problems.append({"row": place, "column": "actual", "problem": str(error)})
            continue
        try:
            seen = _aware(item.observed_at) or now
        except OverflowError:
            problem = f"{item.observed_at} lies beyond the years 1 to 9999 in UTC"
            problems.append({"row": place, "column": "observed_at", "problem": problem})
            continue
        text = msgspec.json.encode(value).decode()
        model = logged.models[item.prediction_id]
        rows.append(Sent(place, model, item.prediction_id, text, seen, item.correct))
        if schema.task == "classification" and value not in schema.classes:
            strange.setdefault(item.prediction_id, str(value))
    _refuse(problems)
    stored = actual_writes.store(project, rows, logged.sealed, actor or project.actor)
    return Received(
        accepted=stored.accepted,
        duplicates=len(rows) - stored.accepted - stored.corrected,
        unknown=[identifier for identifier in ids if identifier not in logged.schemas],
        unknown_labels=dict(Counter(strange.values()).most_common(_MAX_PROBLEMS)),
        corrected=stored.corrected,
    )


def label(schema: InputSchema, value: str | float) -> str | float:
    """Return ``value`` in the type of this model's target; raises InvalidInputError.

    A label that the model has never seen is accepted, because it may be a new class. The sender is
    warned, and evaluation and training leave it out (``unknown_labels``).
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInputError(f"{value!r} is not a number")
    if schema.task == "regression":
        return _number(value)
    kinds = {type(known) for known in schema.classes}
    if type(value) is float and kinds & {int, float} == {int} and value.is_integer():
        value = int(value)
    if type(value) is int and not INT64_MIN <= value <= INT64_MAX:
        raise InvalidInputError(f"{str(value)[:40]} does not fit into 64 bits, as labels do")
    if type(value) in kinds:
        return value
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return _number(value)
    known = ", ".join(str(known) for known in schema.classes[:10])
    raise InvalidInputError(f"{value!r} is not a label like {known}")


def versions_of(project: Project, ids: Sequence[str]) -> list[int]:
    """Return the model versions that made the predictions ``ids``, in that order, each once."""
    found = _versions(project, list(dict.fromkeys(ids)))[0]
    return list(dict.fromkeys(found[identifier] for identifier in ids if identifier in found))


def _number(value: str | float) -> float:
    """Return ``value`` if it is a finite number within the bounds of a target."""
    if isinstance(value, bool | str):
        raise InvalidInputError(f"{value!r} is not a number")
    if not -bounds.TARGET <= value <= bounds.TARGET:
        raise InvalidInputError(
            f"{str(value)[:40]} is beyond {bounds.TARGET:g}, the largest actual there can be; "
            "leave out rows whose actual is not known"
        )
    return float(value)


def read(
    schema: InputSchema, value: str | float, number: Callable[[str], float] = float
) -> str | float:
    """Parse text as the number or boolean that this model's target is; other text stays."""
    kinds = {type(known) for known in schema.classes}
    if not isinstance(value, str) or str in kinds:
        return value
    if bool in kinds:
        return _WORDS.get(value.strip().lower(), value)
    try:
        return number(value)
    except ValueError:
        return value


def _look_up(project: Project, ids: Sequence[str], models: Collection[str] | None) -> _Logged:
    """Look up the predictions in ``ids`` that one of ``models`` made."""
    found, sealed = _versions(project, ids)
    names: dict[str, str] = {}
    schemas: dict[str, InputSchema] = {}
    for identifier, (model, schema) in _schemas(project, found).items():
        if models is None or model in models:
            names[identifier], schemas[identifier] = model, schema
    return _Logged(names, schemas, {i: _known(schemas[i], sealed[i]) for i in sealed if i in names})


def _versions(project: Project, ids: Sequence[str]) -> tuple[dict[str, int], dict[str, "Located"]]:
    """Return the model version of each known id, and the segment records of sealed ones."""
    with project.read() as s:
        found = predictions.versions_of(s, ids)
    if len(found) < len(ids):
        imports.sync(project)  # predictions that are still in a journal
        with project.read() as s:
            found = predictions.versions_of(s, ids)
    missing = [identifier for identifier in ids if identifier not in found]
    sealed: dict[str, Located] = {}
    if missing:
        from mlkit.flows.log import log_segments  # imports pyarrow, only for very late actuals

        sealed = log_segments.locate(project, missing)
        found |= {identifier: place.version_id for identifier, place in sealed.items()}
    return found, sealed


def _schemas(project: Project, version_of: Mapping[str, int]) -> dict[str, tuple[str, InputSchema]]:
    """Return the model's name and the input schema behind each prediction."""
    schemas: dict[int, tuple[str, InputSchema]] = {}
    with project.read() as s:
        for version_id in set(version_of.values()):
            version = s.get_one(registry.ModelVersion, version_id)
            schemas[version_id] = version.model.name, input_schema.of(version)
    return {identifier: schemas[version_id] for identifier, version_id in version_of.items()}


def _known(schema: InputSchema, sealed: "Located") -> Known | None:
    """Return the actual of a segment in the form of the table ``actual``."""
    if sealed.actual is None:
        return None
    try:
        value = label(schema, read(schema, sealed.actual))
    except InvalidInputError:  # a label that this version would refuse
        value = sealed.actual
    return Known(msgspec.json.encode(value).decode(), sealed.observed_at)


def _aware(at: datetime | None) -> datetime | None:
    """Return a time in UTC; raises OverflowError if it has none there."""
    if at is None:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)


def _refuse(problems: Sequence[Mapping[str, object]]) -> None:
    if problems:
        first = problems[0]
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise InvalidInputError(
            f"row {first['row']}: {first['problem']}{more}; nothing was stored",
            {"problems": list(problems[:_MAX_PROBLEMS])},
        )
