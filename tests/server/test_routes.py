"""Every route, every scope: who gets past the door is a table, and no route is missing in it."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mlkit.flows import access
from mlkit.project import Project
from mlkit.server.access import PUBLIC
from mlkit.server.app import SERVICE, create_app

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
    guard = app.extensions[SERVICE].guard
    elsewhere = access.create(project, "elsewhere", models=["churn"])
    guard.refresh()
    secret = guard._tokens[elsewhere.id]
    guard._tokens[elsewhere.id] = secret._replace(models=frozenset({"spam"}))
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
    assert _routes(app) <= set(TABLE)
    assert set(PUBLIC) <= set(TABLE)


@pytest.mark.parametrize("who", sorted(EVERYONE))
def test_each_scope_opens_what_the_table_says(door: Any, who: str) -> None:
    app, tokens = door
    client: FlaskClient = app.test_client()
    guard = app.extensions[SERVICE].guard
    for method, rule in sorted(_routes(app)):
        guard._failures._empty.clear()
        path = rule.replace("<model>", "churn").replace("<version>", "1")
        headers = {} if who == "nobody" else {"Authorization": f"Bearer {tokens[who]}"}
        sent = {"json": {}} if method == "POST" else {}
        reply = client.open(path, method=method, headers=headers, **sent)
        opened = reply.status_code not in (401, 403)
        assert opened == (who in TABLE[method, rule]), (method, rule, who, reply.status_code)
        if not opened:
            expected = 401 if who in ("nobody", "revoked") else 403
            assert reply.status_code == expected, (method, rule, who)
