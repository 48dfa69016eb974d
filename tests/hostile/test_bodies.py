"""Bodies that are wrong, huge or meant to confuse: a reason each time, and no harm."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILES = sorted((Path(__file__).parent / "bodies").glob("*.json"))
ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
ONE = json.dumps({"rows": [ROW]}).encode()
RIGHT = {
    "/predict/churn": {"rows": [ROW], "entity_ids": ["a"], "request_id": "hostile"},
    "/invocations": {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}},
    "/models/churn/invocations": {"instances": [ROW], "params": {"probabilities": True}},
    "/v1/models/churn:predict": {"instances": [ROW]},
    "/v2/models/churn/infer": {
        "id": "1",
        "inputs": [
            {"name": name, "shape": [1], "datatype": kind, "data": [ROW[name]]}
            for name, kind in (
                ("age", "INT64"), ("plan", "BYTES"), ("spend", "FP64"), ("active", "BOOL"),
            )
        ],
        "outputs": [{"name": "value"}],
    },
    "/actuals": {"items": [{"prediction_id": "01a20bcd-b70f-795f-a898-287a7fbb75e2",
                            "actual": "no", "observed_at": "2026-01-01T00:00:00Z"}]},
}  # fmt: skip
ODD: list[Any] = [None, True, 0, -1, 1.5, 1e300, 2**70, "", "x", [], [[]], {}, {"": None}, [None]]


def _grown(server: Any) -> int:
    """Return the kilobytes that are the worker's own."""
    (worker,) = server.workers()
    text = Path(f"/proc/{worker}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private"))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_body_from_the_collection_is_refused_with_a_reason(target: Any, file: Path) -> None:
    expected = int(file.name[:3])
    reply = target.ask("POST", "/predict/churn", file.read_bytes())
    assert (reply.status, reply.body["status"]) == (expected, expected), reply.body
    assert reply.body["detail"]
    for path in RIGHT:
        assert 400 <= target.ask("POST", path, file.read_bytes()).status < 500, path
    assert target.predict().status == 200


def _changed(value: Any) -> Iterator[Any]:
    """Yield ``value`` with each of its nodes, one after the other, replaced by odd ones."""
    yield from ODD
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: other} for other in _changed(inner))
            yield {name: kept for name, kept in value.items() if name != key}
            yield {**value, f"{key} ": inner}
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            for other in _changed(inner):
                yield [*value[:place], other, *value[place + 1 :]]
        yield value * 2


@pytest.mark.parametrize("path", list(RIGHT))
def test_a_wrong_type_in_any_place_is_the_clients_mistake(target: Any, path: str) -> None:
    connection = target.connect()
    assert target.ask("POST", path, RIGHT[path]).status == 200
    for body in _changed(RIGHT[path]):
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        assert reply.status == 200 or 400 <= reply.status < 500, (body, text)
    connection.close()


@pytest.mark.parametrize(
    ("name", "body", "statuses"),
    [
        ("deep lists", b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {400, 422}),
        ("deep in a column", b'{"rows":[{"age":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}", {400}),
        ("deep objects", b'{"rows":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, {400, 422}),
        ("4,301 digits", ONE.replace(b"30", b"9" * 4_301), {400, 422}),
        ("a long fraction", ONE.replace(b"12.5", b"0." + b"1" * 100_000), {200}),
        ("a long exponent", ONE.replace(b"12.5", b"1e" + b"9" * 1_000), {400, 422}),
        ("10,001 rows", json.dumps({"rows": [{}] * 10_001}).encode(), {413}),
        ("10,001 right rows", json.dumps({"rows": [ROW] * 10_001}).encode(), {413}),
        ("a text of 10 MB", ONE.replace(b"free", b"f" * 10_000_000), {413}),
        ("100 MB", b" " * 100_000_000, {413}),
        ("a million keys", b"{" + b",".join(b'"%d":0' % i for i in range(400_000)) + b"}", {422}),
        ("ten thousand columns", json.dumps(
            {"rows": [ROW | {f"c{i}": i for i in range(10_000)}]}).encode(), {200}),
    ],
)  # fmt: skip
def test_a_body_beyond_all_measure_is_refused_and_leaves_no_trace(
    target: Any, name: str, body: bytes, statuses: set[int]
) -> None:
    target.predict()
    before = _grown(target)
    try:
        reply = target.ask("POST", "/predict/churn", body)
        assert reply.status in statuses, (name, reply.body)
    except OSError:  # it hung up in the middle of the body, after its answer
        assert statuses == {413}
    assert target.predict().status == 200
    assert _grown(target) - before < 20_000


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x", "identity, gzip"])
def test_a_compressed_body_is_never_opened(target: Any, coding: str) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    for path in RIGHT:
        assert target.ask("POST", path, bomb, Content_Encoding=coding).status == 415


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data; boundary=x", "application/xml", "json", "*/*"]
)
def test_another_media_type_is_named(target: Any, kind: str) -> None:
    reply = target.ask("POST", "/predict/churn", ONE, kind=kind)
    assert (reply.status, "application/json" in reply.body["detail"]) == (415, True)
