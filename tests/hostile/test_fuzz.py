"""Whatever bytes come, a body decoder refuses them in words or reads them, within a second."""

import json
from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.flows.log.actuals import Actuals
from mlkit.server import wire
from mlkit.server.problems import RefusedError
from mlkit.server.protocols import kserve, mlflow, native, v2
from mlkit.server.query import Message
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.inputs.rows import Reader

READER = Reader(
    InputSchema(
        columns=(
            Column(name="age", kind="integer"),
            Column(name="plan", kind="category", categories=("free",)),
            Column(name="spend", kind="number", nullable=True),
            Column(name="active", kind="boolean"),
            Column(name="since", kind="datetime"),
        ),
        target="y",
        task="classification",
        classes=("no", "yes"),
    )
)
ROW = {"age": 3, "plan": "free", "spend": None, "active": True, "since": "2026-01-01T00:00:00Z"}
WORDS = st.sampled_from(
    ["rows", "instances", "inputs", "dataframe_split", "dataframe_records", "columns", "data",
     "items", "name", "shape", "datatype", "BYTES", "FP64", "request_id", "entity_ids", "params",
     *ROW]
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), WORDS,
        st.just(ROW),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=25,
)  # fmt: skip
TEXTS = VALUES.map(lambda value: json.dumps(value).encode())
CUT = st.tuples(TEXTS, st.integers(0, 300), st.binary(max_size=4)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
)
_actuals = msgspec.json.Decoder(Actuals)


def _read(body: bytes) -> None:
    for protocol in (native, mlflow, kserve, v2):
        kinds: Any = protocol.KINDS
        for kind in kinds:
            with suppress(RefusedError, InvalidInputError):
                protocol.decode(READER, Message(body, kind, {"CONTENT_TYPE": kind}))
    with suppress(RefusedError, InvalidInputError):
        wire.decode(_actuals, body)


@settings(max_examples=400, deadline=1_000)
@given(st.one_of(TEXTS, CUT, st.binary(max_size=300)))
def test_nothing_but_the_declared_errors_comes_out(body: bytes) -> None:
    _read(body)


@settings(max_examples=300, deadline=1_000)
@given(st.lists(st.dictionaries(st.sampled_from(list(ROW)), VALUES), min_size=1, max_size=3))
def test_rows_with_anything_in_them_are_read_or_refused(rows: list[dict[str, Any]]) -> None:
    for changed in ({"rows": [{**ROW, **row} for row in rows]}, {"rows": rows}):
        _read(json.dumps(changed).encode())
