"""Rows of the log become columns, also those that an older release took."""

import json
from datetime import UTC, datetime

from mlkit.flows.log import log_table
from mlkit.steps.inputs.columns import InputSchema
from mlkit.store.log_columns import NAMES

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_label_beyond_64_bits_is_none_of_the_classes_and_no_error() -> None:
    schema = InputSchema(columns=(), target="y", task="classification", classes=(0, 1))
    row = dict.fromkeys(NAMES) | {
        "id": "i", "request_id": "r", "version": 1, "role": "champion", "served_at": NOW,
        "latency_us": 1, "value": "1", "features": "[]", "observed_at": NOW,
    }  # fmt: skip
    rows = [
        [(row | {"seq": seq, "actual": json.dumps(actual)})[name] for name in NAMES]
        for seq, actual in enumerate([1, 10**30, -(10**30), None])
    ]
    table = log_table.build(rows, schema, log_table.arrow_schema([schema]))
    assert table["_actual"].to_pylist() == [1, 2**63 - 1, -(2**63), None]
