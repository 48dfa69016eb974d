"""Find the recorded answer to a client's request id: in a journal, the database or a segment."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from mlkit import epoch
from mlkit.errors import ConflictError
from mlkit.flows.registry import input_schema
from mlkit.project import Project
from mlkit.steps.inputs.columns import InputSchema
from mlkit.store import journal, log_columns, predictions, registry, requests
from mlkit.store.log_columns import Entry
from mlkit.store.registry import Model
from mlkit.store.requests import Request


class Key(NamedTuple):
    """The scope of a request id: each client and model has its own."""

    model_id: int
    request_id: str
    owner: str


def find(project: Project, key: Key, digest: str) -> Entry | None:
    """Return the recorded request, without features if it is sealed, or None.

    Raises ConflictError if the digest of the record is not ``digest``. The search order is that in
    which records move: journals, database, segments.
    """
    entry = journal.find(project.journal_dir, key.request_id, key.model_id, key.owner)
    if entry is not None:
        check(key, entry.digest, digest)
        return entry
    with project.read() as s:
        request = requests.find(s, *key)
        if request is None:
            return None
        check(key, request.digest, digest)  # fail before reading a segment
        rows = [log_columns.decoded(row) for row in predictions.of_request(s, request)]
        versions = predictions.version_numbers(s, request.model_id)
    rows = rows or _sealed(project, request)
    return _entry(request, versions[rows[0]["version"]], rows) if rows else None


def check(key: Key, known: str, digest: str) -> None:
    """Raise ConflictError unless both digests are of the same request."""
    if known != digest:
        raise ConflictError(
            f"request_id '{key.request_id}' has been used for another request; use a new one for "
            "each request, and the same one only to send that request again"
        )


def _sealed(project: Project, request: Request) -> list[dict[str, Any]]:
    """Return the rows of a request from their segment; none if they were deleted."""
    from mlkit.flows.log import log_segments  # imports pyarrow, only for very late repetitions

    rows = log_segments.rows_between(project, request.first_id, request.last_id)
    if not rows:
        return []
    with project.read() as s:
        model = s.get_one(Model, request.model_id)
        schema = input_schema.of(registry.get_version(s, model, rows[0]["_version"]))
    named = [{name.removeprefix("_"): value for name, value in row.items()} for row in rows]
    return [row | {"features": (), "value": _value(schema, row["value"])} for row in named]


def _entry(request: Request, version_id: int, rows: Sequence[dict[str, Any]]) -> Entry:
    """Rebuild the record of a request from its rows."""
    first = rows[0]
    probabilities = [row["probabilities"] for row in rows if row["probabilities"] is not None]
    return Entry(
        request_id=request.request_id,
        model_id=request.model_id,
        version_id=version_id,
        version=first["version"],
        role=first["role"],
        served_us=epoch.to_us(first["served_at"]),
        latency_us=first["latency_us"],
        ids=[row["id"] for row in rows],
        entities=[row["entity"] for row in rows],
        features=[tuple(row["features"]) for row in rows],
        values=[row["value"] for row in rows],
        probabilities=probabilities or None,
        owner=request.owner,
        digest=request.digest,
    )


def _value(schema: InputSchema, value: Any) -> Any:
    """Return an answer in its original type: a text column may hold labels of several types."""
    if not isinstance(value, str):
        return value
    if schema.task == "regression":
        return float(value)
    named = {each: each for each in schema.classes if isinstance(each, str)}
    coded = {msgspec.json.encode(each).decode(): each for each in schema.classes}
    return {**coded, **named}.get(value, value)
