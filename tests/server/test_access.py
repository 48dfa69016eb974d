"""Who may ask: nobody but this machine without a token, and with one as much as its scope."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlkit.flows import access
from mlkit.project import open_project

NAMES = ("predict", "read", "admin")


@pytest.fixture(scope="module")
def locked(
    trained_root: Path, tmp_path_factory: pytest.TempPathFactory, start: Callable[..., Any]
) -> Iterator[tuple[Any, dict[str, access.Created]]]:
    """A server that all machines can reach, and a token of each scope."""
    root = tmp_path_factory.mktemp("locked") / "project"
    shutil.copytree(trained_root, root)
    project = open_project(root, environment={})
    made = {scope: access.create(project, scope, scope=scope) for scope in NAMES}
    project.close()
    server = start(root, "--workers", "1", "--host", "0.0.0.0")  # noqa: S104  # what is tested
    yield server, made
    code, said = server.stop()
    assert code == 0
    assert not [token for token in made.values() if token.token in said]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/predict/churn", {"predict", "admin"}),
        ("POST", "/actuals", {"predict", "admin"}),
        ("GET", "/", {"read", "admin"}),
    ],
)
def test_a_token_opens_what_its_scope_says(
    locked: Any, method: str, path: str, allowed: set[str]
) -> None:
    server, made = locked
    body = {"rows": [{}]} if path.startswith("/predict") else {"items": []}
    for scope, token in made.items():
        reply = server.ask(method, path, body if method == "POST" else None, token=token.token)
        if scope in allowed:
            assert reply.status in (200, 422)
        else:
            assert (reply.status, scope in reply.body["detail"]) == (403, True)


@pytest.mark.parametrize(
    "sent",
    [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic bWU6bWU="},
     {"Authorization": "Bearer mlkit_00000000_wrong"}, {"Authorization": "Bearer \u00e9"}],
    ids=["nothing", "empty", "another kind", "wrong", "not ASCII"],
)  # fmt: skip
def test_without_a_right_token_nothing_is_said(locked: Any, sent: dict[str, str]) -> None:
    server, _ = locked
    reply = server.ask("POST", "/predict/churn", {"rows": [{}]}, **sent)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="mlkit"'
    assert "churn" not in str(reply.body)


def test_health_is_asked_without_a_token(locked: Any) -> None:
    server, _ = locked
    assert server.ask("GET", "/livez").status == 200
    assert server.ask("GET", "/readyz").status == 200


def test_a_token_works_from_when_it_is_made_until_it_is_revoked(locked: Any) -> None:
    server, _ = locked
    project = open_project(server.root, environment={})
    token = access.create(project, "guest", scope="read")
    _wait_for(lambda: server.ask("GET", "/", token=token.token).status == 200)
    access.revoke(project, token.id)
    _wait_for(lambda: server.ask("GET", "/", token=token.token).status == 401)
    project.close()


def _wait_for(what: Callable[[], bool], patience_s: float = 10.0) -> None:
    end = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_open_door_needs_a_token(trained_cli: Any) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7"):  # noqa: S104  # what is tested
        result = trained_cli("serve", "--host", host, "--port", "0", code=1)
        assert "there is no token; make one first: mlkit token create NAME" in result.stderr


def test_a_taken_port_and_a_host_that_is_none_are_named(trained_cli: Any, locked: Any) -> None:
    server, _ = locked
    result = trained_cli("serve", "--port", server.port, code=1)
    assert (
        f"port {server.port}: Address already in use; choose another with --port" in result.stderr
    )
    result = trained_cli("serve", "--host", "no such host", "--port", "0", code=1)
    assert "'no such host' is no address of this machine" in result.stderr


def test_tokens_are_shown_once_and_listed_without_their_secret(trained_cli: Any) -> None:
    made = trained_cli.json("token", "create", "shop", "--scope", "read")
    assert (made["name"], made["scope"]) == ("shop", "read")
    printed = trained_cli("token", "create", "other")
    assert "shown only now" in printed.stderr
    listed = trained_cli("token", "list").stdout
    assert "shop" in listed
    assert made["token"] not in listed
    assert printed.stdout.strip() not in listed
    assert "is revoked" in trained_cli("token", "revoke", made["id"]).stdout
    (gone, _) = trained_cli.json("token", "list")
    assert gone["revoked_at"]
    assert "no active token" in trained_cli("token", "revoke", "00000000", code=1).stderr
    assert "cannot name a token" in trained_cli("token", "create", "My Token", code=1).stderr
    for file in trained_cli.root.rglob("*"):
        if file.is_file():
            assert made["token"].encode() not in file.read_bytes()
