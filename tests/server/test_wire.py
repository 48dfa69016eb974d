"""A key that is there twice is found wherever it is, and nowhere else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.server.problems import RefusedError
from mlkit.server.protocols import native
from mlkit.server.query import Message
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.inputs.rows import Reader

NAMES = ("a", "b:c", 'd"', "e\\", "é")
TEXTS = st.text(alphabet=':"\\a é,{}', max_size=4)
READER = Reader(
    InputSchema(
        columns=tuple(Column(name=name, kind="category") for name in ("a", "b:c")),
        target="y",
        task="regression",
    )
)


def _written(key: str, *, escaped: bool) -> str:
    if escaped:
        return '"' + "".join(f"\\u{ord(letter):04x}" for letter in key) + '"'
    return json.dumps(key, ensure_ascii=False)


@settings(max_examples=400, deadline=None)
@given(st.data(), st.booleans(), st.sampled_from(["", " "]))
def test_a_key_that_is_twice_in_a_body_is_refused_and_no_other(
    data: st.DataObject,
    escaped: bool,  # hypothesis gives it by place
    blank: str,
) -> None:
    keys = ["a", "b:c", *data.draw(st.lists(st.sampled_from(NAMES), max_size=2))]
    fields = [
        f"{_written(key, escaped=escaped and data.draw(st.booleans()))}{blank}:"
        f"{json.dumps(data.draw(TEXTS), ensure_ascii=data.draw(st.booleans()))}"
        for key in keys
    ]
    more = data.draw(st.sampled_from(["", ', "request_id": "x:y"', ', "request_id": null']))
    body = f'{{"rows": [{{{",".join(fields)}}}]{more}}}'.encode()
    message = Message(body, "application/json", {})
    if len(set(keys)) == len(keys):
        assert len(native.decode(READER, message).rows) == 1
        return
    with pytest.raises(RefusedError, match="twice"):
        native.decode(READER, message)
