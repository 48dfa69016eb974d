"""Every route, every scope: who gets past the door is a table, and no route is missing in it."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import Client

from mlkit.flows.operations import access
from mlkit.project import Project
from mlkit.server.access import PUBLIC
from mlkit.server.app import SERVICE, create_app
from mlkit.server.front import Front

ASK = {"predict", "admin", "granted"}
LOOK = {"read", "admin"}
KNOW = {"predict", "read", "admin", "granted"}
EVERYONE = {"nobody", "predict", "read", "admin", "granted", "elsewhere", "revoked"}
TABLE = {
    ("POST", "/predict/<model>"): ASK,
    ("POST", "/actuals"): ASK | {"elsewhere"},
    ("POST", "/invocations"): ASK,
    ("POST", "/models/<model>/invocations"): ASK,
    ("POST", "/v1/models/<model>:predict"): ASK,
    ("POST", "/v2/models/<model>/infer"): ASK,
    ("POST", "/v2/models/<model>/versions/<version>/infer"): ASK,
    ("GET", "/v1/models/<model>"): KNOW,
    ("GET", "/v2"): KNOW | {"elsewhere"},
    ("GET", "/v2/models/<model>"): KNOW,
    ("GET", "/v2/models/<model>/versions/<version>"): KNOW,
    ("GET", "/v2/models/<model>/ready"): KNOW,
    ("GET", "/v2/models/<model>/versions/<version>/ready"): KNOW,
    ("GET", "/version"): LOOK,
    ("GET", "/metrics"): LOOK,
    ("GET", "/openapi.json"): LOOK,
    ("GET", "/"): LOOK,
    **dict.fromkeys(PUBLIC, EVERYONE),
}


@pytest.fixture(scope="module")
def door(trained_root: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The application with a token of each kind."""
    import shutil

    from mlkit.project import open_project

    root = tmp_path_factory.mktemp("door") / "project"
    shutil.copytree(trained_root, root)
    project: Project = open_project(root, environment={})
    made = {
        scope: access.create(project, scope, scope=scope).token
        for scope in ("predict", "read", "admin")
    }  # type: ignore[arg-type]
    made["granted"] = access.create(project, "granted", models=["churn"]).token
    revoked = access.create(project, "revoked", scope="admin")
    access.revoke(project, revoked.id)
    made["revoked"] = revoked.token
    made["elsewhere"] = ""
    app = create_app(project)
    control = app.extensions[SERVICE].access
    elsewhere = access.create(project, "elsewhere", models=["churn"])
    control.refresh()
    secret = control._tokens[elsewhere.id]
    control._tokens[elsewhere.id] = secret._replace(models=frozenset({"spam"}))
    made["elsewhere"] = elsewhere.token
    yield app, made
    app.extensions[SERVICE].stop()
    project.close()


def _routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }


def test_no_route_is_missing_in_the_table(door: Any) -> None:
    app, _ = door
    assert _routes(app) == set(TABLE)
    assert set(PUBLIC) <= set(TABLE)


def test_no_way_ahead_of_flask_is_missing_in_the_table(door: Any) -> None:
    app, _ = door
    assert {("POST", rule) for rule in app.extensions[SERVICE].routes.rules} <= set(TABLE)


def test_the_routes_of_a_platform_are_its_health_and_predictions(
    door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIP_HEALTH_ROUTE", "/up")
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/ask")
    app = create_app(door[0].extensions[SERVICE].project)
    assert _routes(app) == set(TABLE) | {("GET", "/up"), ("POST", "/ask")}
    client = app.test_client()
    assert client.get("/up").status_code == 200
    assert client.get("/up", headers={"Host": "evil.example"}).status_code == 403
    assert client.post("/ask", json={"instances": []}).status_code == 401
    token = {"Authorization": f"Bearer {door[1]['read']}"}
    assert client.post("/ask", json={"instances": []}, headers=token).status_code == 403
    app.extensions[SERVICE].stop()


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO")


@pytest.mark.parametrize("way", ["front", "flask"])
@pytest.mark.parametrize("who", ["nobody", "elsewhere", "read"])
def test_every_method_on_every_route_is_decided(door: Any, way: str, who: str) -> None:
    app, tokens = door
    service = app.extensions[SERVICE]
    client = Client(Front(service, app) if way == "front" else app)
    headers = {} if who == "nobody" else {"Authorization": f"Bearer {tokens[who]}"}
    rules = {rule for _, rule in TABLE}
    for rule in sorted(rules):
        for method in METHODS:
            service.access._failures._arrivals.clear()
            path = rule.replace("<model>", "churn").replace("<version>", "1")
            sent = {"json": {}} if method not in ("GET", "HEAD") else {}
            status = client.open(path, method=method, headers=headers, **sent).status_code
            known = TABLE.get(("GET" if method == "HEAD" else method, rule))
            if known is None:
                assert status == 405, (method, rule)
            elif who in known:
                assert status in (200, 409, 422, 503), (method, rule, status)
            else:
                assert status == (401 if who == "nobody" else 403), (method, rule, status)


@pytest.mark.parametrize("way", ["front", "flask"])
def test_the_host_is_looked_at_before_anything_else(door: Any, way: str) -> None:
    app, tokens = door
    service = app.extensions[SERVICE]
    client = Client(Front(service, app) if way == "front" else app)
    paths = {rule.replace("<model>", "churn").replace("<version>", "1") for _, rule in TABLE}
    for path in sorted(paths | {"/nothing", "//readyz", "/readyz/", "/predict//churn", ""}):
        for method in METHODS:
            for token in ("", tokens["admin"]):
                headers = {"Host": "evil.example"} | (
                    {"Authorization": f"Bearer {token}"} if token else {}
                )
                environ = {"PATH_INFO": path}
                reply = client.open("/", method=method, headers=headers, environ_overrides=environ)
                assert reply.status_code == 403, (method, path)
                assert "Location" not in reply.headers


@pytest.mark.parametrize(
    ("host", "ours"),
    [("localhost", True), ("LOCALHOST.:8000", True), ("127.0.0.1:8000", True), ("[::1]", True),
     ("[::1]:80", True), ("10.1.2.3", True), ("[::1].evil.example", False), ("[::1]evil", False),
     ("127.0.0.1.evil.example", False), ("evil@127.0.0.1", False), ("127.0.0.1:evil", False),
     ("evil,localhost", False), ("0x7f.1", False), ("evil.example", False)],
)  # fmt: skip
def test_a_host_is_ours_by_all_of_it(door: Any, host: str, *, ours: bool) -> None:
    client = door[0].test_client()
    for path in ("/readyz", "/livez", "/ping", "/v2/health/live", "/metrics", "/nothing"):
        status = client.get(path, headers={"Host": host}).status_code
        assert (status != 403) == ours, path


def test_a_health_check_without_a_host_is_answered_and_nothing_else_is(door: Any) -> None:
    client = door[0].test_client()
    for path in ("/readyz", "/livez", "/v2", "/metrics", "/nothing"):
        reply = client.get(path, headers={"Host": ""}, environ_overrides={"HTTP_HOST": ""})
        assert (reply.status_code == 200) == (path in ("/readyz", "/livez")), path


ODD = (
    "//predict/churn", "///predict/churn", "/predict//churn", "/./predict/churn", "predict",
    "/predict/churn/", "/predict/../metrics", "//metrics", "//readyz", "//", "", "*",
    "/predict/churn\n", "/predict/\x00", "/predict/\xff\xfe", "/\xe2\x82\xac", "/%2e%2e/metrics",
    "/predict/churn;a", "/predict/" + "a" * 9_000, "//evil.example/readyz", "/predict/\xc3\x28",
    "/v1/models/churn:predict:predict", "http://evil.example/metrics",
)  # fmt: skip


@pytest.mark.parametrize("way", ["front", "flask"])
@pytest.mark.parametrize("path", ODD)
def test_an_odd_path_is_neither_an_error_nor_a_way_in(door: Any, way: str, path: str) -> None:
    app, _ = door
    service = app.extensions[SERVICE]
    client = Client(Front(service, app) if way == "front" else app)
    for method in METHODS:
        reply = client.open("/", method=method, environ_overrides={"PATH_INFO": path})
        assert reply.status_code in (401, 403, 404, 405), (method, path, reply.status_code)
        assert "Location" not in reply.headers


@pytest.mark.parametrize("who", sorted(EVERYONE))
def test_each_scope_opens_what_the_table_says(door: Any, who: str) -> None:
    app, tokens = door
    client: FlaskClient = app.test_client()
    control = app.extensions[SERVICE].access
    for method, rule in sorted(_routes(app)):
        control._failures._arrivals.clear()
        path = rule.replace("<model>", "churn").replace("<version>", "1")
        headers = {} if who == "nobody" else {"Authorization": f"Bearer {tokens[who]}"}
        sent = {"json": {}} if method == "POST" else {}
        reply = client.open(path, method=method, headers=headers, **sent)
        opened = reply.status_code not in (401, 403)
        assert opened == (who in TABLE[method, rule]), (method, rule, who, reply.status_code)
        if not opened:
            expected = 401 if who in ("nobody", "revoked") else 403
            assert reply.status_code == expected, (method, rule, who)
