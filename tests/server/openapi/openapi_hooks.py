"""What JSON Schema cannot say about a right body, said to schemathesis (loaded by its CLI)."""

from datetime import datetime, timedelta, timezone
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, HookContext

_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=_ZONES)  # noqa: DTZ001  # hypothesis adds the zone

# the first hour of the year 1 in Berlin is no time of UTC, and is refused
schemathesis.openapi.format("date-time", _TIMES.map(datetime.isoformat))


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Make the parts of a body that is meant to be right agree with each other."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    body = case.body
    if case.media_type == "text/csv":
        case.body = _csv_example(case)
    elif isinstance(body, dict) and case.operation.path.endswith("/infer"):
        outputs = {each["name"]: each for each in body.get("outputs") or ()}.values()
        right = {"inputs": _tensors_example(case), "parameters": None, "outputs": [*outputs]}
        case.body = {**body, **right}
    elif isinstance(body, dict) and isinstance(body.get("entity_ids"), list):
        count = len(body["rows"])
        case.body = {**body, "entity_ids": (body["entity_ids"] + [None] * count)[:count]}
    elif isinstance(body, dict) and isinstance(body.get("inputs"), dict):
        columns = {name: values for name, values in body["inputs"].items() if _known(values)}
        shortest = min(map(len, columns.values()))
        cut = {name: values[:shortest] for name, values in columns.items()}
        case.body = {**body, "inputs": cut}


def _known(values: object) -> bool:
    """Leave out columns that no model has: they need not be lists of the right length."""
    return isinstance(values, list) and bool(values)


def _tensors_example(case: Case) -> Any:
    """Return tensors that fit each other: no JSON Schema says what fits a shape and a datatype."""
    content = case.operation.definition.raw["requestBody"]["content"]["application/json"]
    return next(iter(content["examples"].values()))["value"]["inputs"]


def _csv_example(case: Case) -> str:
    content = case.operation.definition.raw["requestBody"]["content"]
    text: str = content["text/csv"]["examples"]["csv"]["value"]
    return text
