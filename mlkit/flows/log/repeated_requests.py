"""What was answered to a request id that a client has chosen, wherever the record is by now."""

from typing import Any, NamedTuple

import msgspec

from mlkit import epoch
from mlkit.errors import ConflictError
from mlkit.project import Project
from mlkit.steps.inputs.columns import InputSchema
from mlkit.store import journal, predictions, requests
from mlkit.store.journal import Entry
from mlkit.store.registry import ModelVersion
from mlkit.store.requests import Request


class Key(NamedTuple):
    """Whose request it is: ids of one client mean nothing to another, nor to another model."""

    model_id: int
    request_id: str
    owner: str


def find(project: Project, key: Key, digest: str) -> Entry | None:
    """Return the record, without its features if it is sealed, or None.

    Raises ConflictError if it is of another request than that with ``digest``. The journals come
    first: a record only ever moves from there to the database, and from the database to segments.
    """
    entry = journal.find(project.journal_dir, key.request_id, key.model_id, key.owner)
    if entry is not None:
        check(key, entry.digest, digest)
        return entry
    with project.read() as s:
        request = requests.find(s, *key)
        if request is None:
            return None
        check(key, request.digest, digest)  # before a segment is read for nothing
        entry = predictions.of_request(s, request)
    return entry or _sealed(project, request)


def check(key: Key, known: str, digest: str) -> None:
    """Raise ConflictError unless both digests are of the same request."""
    if known != digest:
        raise ConflictError(
            f"request_id '{key.request_id}' has been used for another request; use a new one for "
            "each request, and the same one only to send that request again"
        )


def _sealed(project: Project, request: Request) -> Entry | None:
    """Return a record from its segment, or None if it is deleted."""
    from mlkit.flows.log import log_segments  # pyarrow, only for very late repetitions

    rows = log_segments.rows_between(project, request.first_id, request.last_id)
    if not rows:
        return None
    first = rows[0]
    with project.read() as s:
        version_id = predictions.version_numbers(s, request.model_id)[first["_version"]]
        version = s.get_one(ModelVersion, version_id)
        schema = msgspec.convert(version.input_schema, InputSchema)
    probabilities = [row["_probabilities"] for row in rows if row["_probabilities"] is not None]
    return Entry(
        request_id=request.request_id,
        model_id=request.model_id,
        version_id=version_id,
        version=first["_version"],
        role=first["_role"],
        served_us=epoch.to_us(first["_served_at"]),
        latency_us=first["_latency_us"],
        ids=[row["_id"] for row in rows],
        entities=[row["_entity"] for row in rows],
        features=[],
        values=[_value(schema, row["_value"]) for row in rows],
        probabilities=probabilities or None,
        owner=request.owner,
        digest=request.digest,
    )


def _value(schema: InputSchema, value: Any) -> Any:
    """Return an answer as it was given: versions that disagree about labels share a text column."""
    if not isinstance(value, str):
        return value
    if schema.task == "regression":
        return float(value)
    named = {each: each for each in schema.classes if isinstance(each, str)}
    coded = {msgspec.json.encode(each).decode(): each for each in schema.classes}
    return {**coded, **named}.get(value, value)
