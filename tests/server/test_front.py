"""The way past Flask and the way through it give the same answers."""

import io
import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from mlkit.flows.operations import access
from mlkit.project import Project
from mlkit.server import routes
from mlkit.server.app import SERVICE, create_app
from mlkit.server.front import Front
from mlkit.server.metrics.meter import BOUNDS_S

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
TENSORS = {
    "inputs": [
        {"name": name, "shape": [1], "datatype": kind, "data": [ROW[name]]}
        for name, kind in (
            ("age", "INT64"), ("plan", "BYTES"), ("spend", "FP64"), ("active", "BOOL"),
        )
    ]
}  # fmt: skip
RIGHT = {
    "/v2/models/<model>/infer": TENSORS,
    "/v2/models/<model>/versions/<version>/infer": TENSORS,
    "/predict/<model>": {"rows": [ROW]},
    "/invocations": {"dataframe_records": [ROW]},
    "/models/<model>/invocations": {"inputs": [ROW]},
    "/v1/models/<model>:predict": {"instances": [ROW]},
}


class Case(NamedTuple):
    """One way to ask rightly or wrongly."""

    body: bytes | None = None
    kind: str = "application/json"
    path: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


CASES = {
    "right": Case(),
    "two rows": Case(),
    "no JSON": Case(b"{"),
    "not an object": Case(b"[]"),
    "an unknown field": Case(b'{"zeilen": []}'),
    "a bad row": Case(),
    "too large": Case(b" " * 70_000),
    "another media type": Case(b"a", "text/html"),
    "no media type": Case(kind=""),
    "compressed": Case(headers=(("HTTP_CONTENT_ENCODING", "gzip"),)),
    "a strange host": Case(headers=(("HTTP_HOST", "evil.example"),)),
    "no such model": Case(path="nobody"),
    "a browser elsewhere": Case(headers=(("HTTP_SEC_FETCH_SITE", "cross-site"),)),
    "a wrong token": Case(headers=(("HTTP_AUTHORIZATION", "Bearer mlkit_00000000_wrong"),)),
    "no token": Case(headers=(("HTTP_AUTHORIZATION", ""),)),
}


@pytest.fixture(params=["open", "with tokens"])
def ways(request: pytest.FixtureRequest, trained: Project) -> Iterator[tuple[Any, Any, str]]:
    """Both ways into one service, and a token if there are any."""
    token = ""
    if request.param == "with tokens":
        token = access.create(trained, "all", scope="predict").token
    (trained.root / "mlkit.toml").write_text("[server]\nmax_body_bytes = 60000\n")
    app = create_app(trained)
    app.extensions[SERVICE]._max_bytes = 60_000
    yield Front(app.extensions[SERVICE], app), app, token
    app.extensions[SERVICE].stop()


def _ask(way: Callable[..., Any], path: str, case: Case, body: bytes, token: str) -> Any:
    said: list[Any] = []
    headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost", "CONTENT_TYPE": case.kind,
        "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "http",
        **headers, **dict(case.headers),
    }  # fmt: skip
    parts = way(environ, lambda status, headers, _=None: said.append((status, headers)))
    text = b"".join(parts).decode()
    if hasattr(parts, "close"):
        parts.close()
    status, sent = said[0]
    known = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]+", "ID", text)
    return status, sorted((name.title(), value) for name, value in sent), known


def _counted(app: Any, rule: str) -> float:
    """Return how many answers of ``rule`` the metrics know."""
    series = app.extensions[SERVICE].meter.slot.snapshot().series
    return sum(sum(cells[: len(BOUNDS_S) + 1]) for key, cells in series.items() if rule in key)


def _answered(rule: str, token: str) -> set[str]:
    """Return the cases that are no mistake for ``rule``."""
    return (
        {"right", "two rows"}
        | ({"no such model"} if rule == "/invocations" else set())
        | ({"no token"} if not token else set())
        | ({"no media type"} if rule.startswith("/v2") else set())
    )


@pytest.mark.parametrize("rule", list(routes.PREDICTIONS))
@pytest.mark.parametrize("name", list(CASES))
def test_both_ways_give_the_same_answer(ways: Any, rule: str, name: str) -> None:
    front, app, token = ways
    case = CASES[name]
    path = rule.replace("<model>", case.path or "churn").replace("<version>", "1")
    body = case.body if case.body is not None else json.dumps(RIGHT[rule]).encode()
    if name == "two rows":
        body = body.replace(json.dumps(ROW).encode(), json.dumps([ROW, ROW]).encode()[1:-1])
    if name == "a bad row":
        body = body.replace(b"12.5", b'"much"')
    counted = [_counted(app, rule)]
    answers = []
    for way in (front, app):
        answers.append(_ask(way, path, case, body, token))
        counted.append(_counted(app, rule))
    first, second = answers
    assert first == second
    assert [after - before for before, after in pairwise(counted)] == [1, 1]
    assert (first[0] == "200 OK") == (name in _answered(rule, token)), first


def test_what_asks_for_no_prediction_is_flasks(ways: Any) -> None:
    front, app, token = ways
    for path in ("/nothing", "/predict/", "/predict/a/b", "/actuals"):
        answers = [_ask(way, path, Case(b"{}"), b"{}", token) for way in (front, app)]
        assert answers[0] == answers[1]
        assert answers[0][0].startswith("4")
