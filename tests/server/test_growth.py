"""No text that a client or a file sends takes more than its length's share of time to read.

Double the length, at most two and a half times the time: tried with every decoder, every header
and every kind of text that makes a careless scan start over again and again.
"""

import json
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlkit.errors import InvalidInputError, MlkitError
from mlkit.project import Project
from mlkit.server import wire
from mlkit.server.access import AccessControl
from mlkit.server.protocols import kserve, mlflow, native, v2
from mlkit.server.query import Message
from mlkit.server.routes import Routes
from mlkit.server.service import _actuals_decoder
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.inputs.rows import Reader
from mlkit.steps.reading import csv_dialect

LENGTH = 60_000
NOISE_S = 0.02
KINDS = (("a", "number"), ("i", "integer"), ("b", "boolean"), ("c", "category"), ("t", "datetime"))
FIELDS = {"a": "1", "i": "1", "b": "true", "c": '"x"', "t": '"2026-01-01"'}
TENSOR = '{"name": "c", "shape": [1], "datatype": "BYTES", "data": ["x"]}'

Make = Callable[[int], str]


def _reader(*columns: tuple[str, str]) -> Reader:
    found = tuple(Column(name=n, kind=k, nullable=k == "number") for n, k in columns)  # type: ignore[arg-type]  # they are kinds
    return Reader(InputSchema(columns=found, target="y", task="regression"))


READERS = {
    "mixed": _reader(*KINDS),
    "one": _reader(("c", "category")),
    "wide": _reader(*((f"w{place}", "integer") for place in range(1_000))),
}

VALUES: Mapping[str, Make] = {
    **{
        f"text of {atom}": lambda n, atom=atom: f'"{atom * (n // len(atom))}"'
        for atom in ('\\"', "\\\\", ":", "\\u00e9", "{", " ", '\\":', "é", "a:", "1,")
    },
    "spaces": lambda n: " " * n + "1",
    "digits": lambda n: "1" * n,
    "fraction": lambda n: "0." + "1" * n,
    "large numbers": lambda n: "[" + ",".join(["1" * 4_000] * (n // 4_000)) + "]",
    "empty lists": lambda n: f"[{'[],' * (n // 3)}1]",
    "empty rows": lambda n: "[" + ",".join(["{}"] * min(10_000, n // 40)) + "]",
    "empty texts": lambda n: "[" + '"",' * (n // 3) + "1]",
    "nulls": lambda n: "[" + "null," * (n // 5) + "1]",
    "keys": lambda n: "{" + ",".join(f'"{k}":1' for k in range(n // 10)) + "}",
    "a twin at the end": lambda n: (
        "{" + ",".join(f'"{k}":1' for k in range(n // 10)) + f',"{n // 10 - 1}":1}}'
    ),
    "depth": lambda n: "[" * n,
    "a long time": lambda n: f'"2026-01-01T00:00:00.{"0" * n}"',
}


def _row(name: str, value: str) -> str:
    fields = {**FIELDS, name: value}
    return "{" + ",".join(f'"{key}": {text}' for key, text in fields.items()) + "}"


def _tensor(data: str, datatype: str = "BYTES") -> str:
    return TENSOR.replace('["x"]', data).replace("BYTES", datatype)


def _key(value: str) -> str:
    return value if value.startswith('"') else '"x"'


BODIES: Mapping[str, Callable[[str], str]] = {
    "native row": lambda v: f'{{"rows": [{_row("c", v)}]}}',
    "native number": lambda v: f'{{"rows": [{_row("a", v)}]}}',
    "native time": lambda v: f'{{"rows": [{_row("t", v)}]}}',
    "native extra": lambda v: f'{{"rows": [{_row("more", v)}]}}',
    "native key": lambda v: f'{{"rows": [{_row("a", "1")[:-1]}, {_key(v)}: 1}}]}}',
    "native rows": lambda v: f'{{"rows": {v}}}',
    "native ids": lambda v: f'{{"rows": [], "entity_ids": {v}}}',
    "native id": lambda v: f'{{"rows": [], "request_id": {v}}}',
    "native whole": lambda v: v,
    "mlflow instances": lambda v: f'{{"instances": {v}}}',
    "mlflow inputs": lambda v: f'{{"inputs": {v}}}',
    "mlflow records": lambda v: f'{{"dataframe_records": {v}}}',
    "mlflow columns": lambda v: f'{{"dataframe_split": {{"columns": {v}, "data": []}}}}',
    "mlflow data": lambda v: f'{{"dataframe_split": {{"columns": ["c"], "data": {v}}}}}',
    "kserve instances": lambda v: f'{{"instances": {v}}}',
    "v2 data": lambda v: f'{{"inputs": [{_tensor(v)}]}}',
    "v2 floats": lambda v: '{"inputs": [' + _tensor(v, "FP64") + "]}",
    "v2 parameters": lambda v: f'{{"parameters": {v}, "inputs": [{TENSOR}]}}',
    "v2 shape": lambda v: '{"inputs": [' + TENSOR.replace("[1]", v) + "]}",
    "v2 inputs": lambda v: f'{{"inputs": {v}}}',
    "v2 outputs": lambda v: f'{{"outputs": {v}, "inputs": [{TENSOR}]}}',
    "actuals items": lambda v: f'{{"items": {v}}}',
    "actuals id": lambda v: f'{{"items": [{{"prediction_id": {v}, "actual": 1}}]}}',
    "actuals value": lambda v: f'{{"items": [{{"prediction_id": "x", "actual": {v}}}]}}',
}
CSV: Mapping[str, Make] = {
    "quotes": lambda n: '"' * n,
    "an open quote": lambda n: '"' + '""' * (n // 2),
    "commas": lambda n: "," * n,
    "lines": lambda n: "\n" * n,
    "returns": lambda n: "\r" * n,
    "cells": lambda n: "x\n" * (n // 2),
    "numbers": lambda n: "1," * (n // 2),
    "digits": lambda n: "1" * n,
    "texts": lambda n: '"a",' * (n // 4),
    "zeros": lambda n: "\0" * n,
    "names": lambda n: ",".join(map(str, range(n // 7))),
    "a twin at the end": lambda n: ",".join(map(str, range(n // 7))) + f",{n // 7 - 1}",
    "spaces": lambda n: " " * n,
}
HEADERS: Mapping[str, Make] = {
    "colons": lambda n: ":" * n,
    "digits": lambda n: "1" * n,
    "dots": lambda n: "1." * (n // 2),
    "brackets": lambda n: "[" * n,
    "semicolons": lambda n: "text/csv;" * (n // 9),
    "equals": lambda n: "text/csv;charset=" + "=" * n,
    "spaces": lambda n: "Bearer" + " " * n + "x",
    "tokens": lambda n: "Bearer mlk_" + "a_" * (n // 2),
    "slashes": lambda n: "http://" + "/" * n,
    "at signs": lambda n: "http://" + "@:" * (n // 2),
    "percents": lambda n: "%41" * (n // 3),
}


def _seconds(act: Callable[[], object]) -> float:
    found = []
    for _ in range(2):
        started = time.thread_time()
        with suppress(MlkitError):
            act()
        found.append(time.thread_time() - started)
    return min(found)


def _grows(read: Callable[[str], object], make: Make, length: int = LENGTH) -> bool:
    """Tell whether doubling the text takes more than two and a half times as long, each time."""
    once, twice = make(length), make(2 * length)
    return all(
        _seconds(lambda: read(twice)) > 2.5 * _seconds(lambda: read(once)) + NOISE_S
        for _ in range(3)
    )


def _decode(name: str, reader: Reader, text: str) -> object:
    body = text.encode()
    protocol = name.split()[0]
    if protocol == "actuals":
        return wire.without_gc(len(body), partial(wire.decode, _actuals_decoder, body))
    decoders = {"native": native, "mlflow": mlflow, "kserve": kserve, "v2": v2}
    message = Message(body, "application/json", {})
    return wire.without_gc(len(body), partial(decoders[protocol].decode, reader, message))


@pytest.mark.parametrize("body", BODIES)
def test_a_json_body_is_read_in_time_that_grows_with_its_length(body: str) -> None:
    slow = [
        (name, reader)
        for name, make in VALUES.items()
        for reader, found in READERS.items()
        if _grows(lambda text, r=found: _decode(body, r, BODIES[body](text)), make)
    ]
    assert slow == []


def test_a_csv_body_is_read_in_time_that_grows_with_its_length() -> None:
    def read(head: str, text: str, end: str) -> object:
        message = Message(f"{head}{text}{end}".encode(), "text/csv", {})
        return wire.without_gc(len(text), partial(mlflow.decode, READERS["mixed"], message))

    places = (("", ""), ("c\n", ""), ("a,i,b,c,t\n", ",1,1,1,1"), ("a,i,b,c,t\n1,1,1,1,", ""))
    slow = [
        (name, head)
        for name, make in CSV.items()
        for head, end in places
        if _grows(lambda text, h=head, e=end: read(h, text, e), make)
    ]
    assert slow == []


@pytest.mark.parametrize("element", [b"", b"a"])
def test_a_binary_body_is_read_in_time_that_grows_with_its_length(element: bytes) -> None:
    one = struct.pack("<I", len(element)) + element

    def read(text: str) -> object:
        part = one * (len(text) // len(one))
        tensor = {"name": "c", "shape": [3], "datatype": "BYTES"}
        tensor["parameters"] = {"binary_data_size": len(part)}
        head = json.dumps({"inputs": [tensor]}).encode()
        sent = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": str(len(head))}
        return v2.decode(READERS["one"], Message(head + part, v2.BINARY, sent))

    assert not _grows(read, lambda n: " " * n)


def _headers(project: Project) -> Iterator[tuple[str, Callable[[str], Any]]]:
    control, routes = AccessControl(project), Routes()
    sent = {"REQUEST_METHOD": "POST", "HTTP_HOST": "localhost"}
    yield "host", lambda text: control.check({**sent, "HTTP_HOST": text}, "predict")
    yield "origin", lambda text: control.check({**sent, "HTTP_ORIGIN": text}, "predict")
    yield "token", lambda text: control.check({**sent, "HTTP_AUTHORIZATION": text}, "predict")
    yield "path", lambda text: routes.find(f"/predict/{text}")
    yield "type", lambda text: wire.read_body({"CONTENT_TYPE": text}, max_bytes=1)
    yield (
        "length",
        lambda text: wire.read_body(
            {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": text}, max_bytes=1
        ),
    )
    yield (
        "charset",
        lambda text: mlflow.decode(
            READERS["one"], Message(b"c\n1", "text/csv", {"CONTENT_TYPE": text})
        ),
    )
    yield (
        "json length",
        lambda text: v2.decode(
            READERS["one"],
            Message(b"{}", v2.BINARY, {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": text}),
        ),
    )


def test_a_header_is_read_in_time_that_grows_with_its_length(project: Project) -> None:
    slow = [
        (header, name)
        for header, read in _headers(project)
        for name, make in HEADERS.items()
        if _grows(read, make)
    ]
    assert slow == []


def test_how_a_file_is_written_is_found_in_time_that_grows_with_its_length(tmp_path: Path) -> None:
    def read(text: str) -> object:
        file = tmp_path / "x.csv"
        file.write_text(text)
        return csv_dialect.sniff(file)

    assert [name for name, make in CSV.items() if _grows(read, make)] == []


def test_rows_that_lack_every_column_of_a_wide_model_cost_little() -> None:
    body = json.dumps({"rows": [{}] * 10_000})
    assert _seconds(lambda: _decode("native", READERS["wide"], body)) < 1.0  # 4 s before


@pytest.mark.parametrize("header", ['"a",', "a,", ","])
def test_a_header_that_repeats_itself_takes_no_more_room_than_its_cells(header: str) -> None:
    body = (header * 100_000).encode()
    message = Message(body, "text/csv", {})
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInputError, match="is there twice"):
            mlflow.decode(READERS["mixed"], message)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000  # 130 MB before: a set of marks for each cell
