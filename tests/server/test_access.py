"""Who may ask: nobody but this machine without a token, and with one as much as its scope."""

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlkit.flows.operations import access
from mlkit.project import open_project
from mlkit.server.access import AccessControl
from mlkit.server.problems import RefusedError
from mlkit.store.tokens import Token

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


def test_a_token_for_one_model_does_not_even_learn_of_another(locked: Any) -> None:
    server, _ = locked
    project = open_project(server.root, environment={})
    token = access.create(project, "narrow", models=["churn"])
    project.close()
    ask = {"rows": [{}]}
    _wait_for(lambda: server.ask("POST", "/predict/churn", ask, token=token.token).status == 422)
    texts = {
        server.ask("POST", path, ask, token=token.token).body["detail"]
        for path in ("/predict/nobody", "/predict/spam")
    }
    assert texts == {"this token is for churn and nothing else"}


def test_a_token_expires(locked: Any) -> None:
    server, _ = locked
    project = open_project(server.root, environment={})
    token = access.create(project, "short", scope="read", expires="1h")
    _wait_for(lambda: server.ask("GET", "/", token=token.token).status == 200)
    with project.write() as s:
        row = s.get_one(Token, token.id)
        row.expires_at = project.now()
    project.close()
    _wait_for(lambda: server.ask("GET", "/", token=token.token).status == 401)
    assert "the token expired at" in server.ask("GET", "/", token=token.token).body["detail"]


def test_a_token_has_a_rate_that_all_workers_share(
    trained_root: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    root = tmp_path / "project"
    shutil.copytree(trained_root, root)
    project = open_project(root, environment={})
    token = access.create(project, "slow", scope="read", rate=5)
    free = access.create(project, "free", scope="read")
    project.close()
    server = start(root, "--workers", "2")
    try:
        replies = [server.ask("GET", "/", token=token.token) for _ in range(30)]
        refused = [reply for reply in replies if reply.status == 429]
        assert 5 <= len(replies) - len(refused) < 20
        assert refused[0].headers["Retry-After"] == "1"
        assert "more than 5 requests a second" in refused[0].body["detail"]
        assert server.ask("GET", "/", token=free.token).status == 200
        _wait_for(lambda: server.ask("GET", "/", token=token.token).status == 200)
    finally:
        server.stop()


def test_wrong_tokens_are_throttled_and_the_right_one_is_not(
    trained_root: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    root = tmp_path / "project"
    shutil.copytree(trained_root, root)
    project = open_project(root, environment={})
    token = access.create(project, "right", scope="read")
    project.close()
    server = start(root, "--workers", "1")
    try:
        statuses = [server.ask("GET", "/", token=f"mlkit_0_{n}").status for n in range(15)]
        assert statuses == [401] * 10 + [429] * 5
        assert server.ask("GET", "/", token=token.token).status == 200
    finally:
        server.stop()


def test_the_last_use_of_a_token_is_noted(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    token = access.create(trained, "used", scope="read")
    control = AccessControl(trained)
    control.refresh()
    control.check({"REQUEST_METHOD": "GET", "HTTP_HOST": "localhost",
                 "HTTP_AUTHORIZATION": f"Bearer {token.token}"}, "read")  # fmt: skip
    assert access.list_tokens(trained)[0].last_used_at is None
    control.note_use()
    noted = access.list_tokens(trained)[0].last_used_at
    assert noted is not None
    assert abs((trained.now() - noted).total_seconds()) < 60


def test_the_clock_of_the_project_ends_a_token_and_dates_its_use(
    trained: Any, tmp_path: Path
) -> None:
    clock = tmp_path / "now"
    clock.write_text("2030-05-01T12:00:00+00:00")
    project = dataclasses.replace(trained, clock_file=clock)
    token = access.create(project, "short", scope="read", expires="1h")
    guard = AccessControl(project)
    guard.refresh()
    environ = {"REQUEST_METHOD": "GET", "HTTP_HOST": "localhost",
               "HTTP_AUTHORIZATION": f"Bearer {token.token}"}  # fmt: skip
    clock.write_text("2030-05-01T12:59:00+00:00")
    guard.check(environ, "read")
    guard.note_use()
    assert access.list_tokens(project)[0].last_used_at == project.now()
    clock.write_text("2030-05-01T13:00:00+00:00")
    with pytest.raises(RefusedError, match="the token expired at 2030-05-01T13:00:00Z"):
        guard.check(environ, "read")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "none"}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[::"}, 403),
        ({"Origin": "http://localhost:80", "Host": "localhost:80"}, 200),
    ],
)
def test_a_page_of_another_site_cannot_make_a_browser_write(
    trained_root: Path, server: Any, headers: dict[str, str], status: int
) -> None:
    body = {"rows": [{"age": 30, "plan": "free", "spend": 12.5, "active": False}]}
    assert server.ask("POST", "/predict/churn", body, **headers).status == status
    assert server.ask("GET", "/livez", **headers).status == 200


def test_what_makes_no_sense_as_a_token_is_refused(trained_cli: Any) -> None:
    assert (
        "no model named 'spam'"
        in trained_cli("token", "create", "a", "--model", "spam", code=1).stderr
    )
    assert (
        "leave --model out"
        in trained_cli(
            "token", "create", "a", "--model", "churn", "--scope", "admin", code=1
        ).stderr
    )
    assert (
        "is not a duration"
        in trained_cli("token", "create", "a", "--expires", "soon", code=1).stderr
    )
    made = trained_cli.json(
        "token", "create", "shop", "--model", "churn", "--expires", "90d", "--rate", 50
    )
    (listed,) = trained_cli.json("token", "list")
    assert (listed["id"], listed["models"], listed["rate"]) == (made["id"], ["churn"], 50)
    assert listed["expires_at"] > listed["created_at"]
    assert "churn" in trained_cli("token", "list").stdout


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
