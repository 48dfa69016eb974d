"""A request id belongs to the token that chose it, for one model, and stands for one request."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import func, select

from mlkit.flows.erasure import subject
from mlkit.flows.log import logs, retention
from mlkit.flows.log.repeated_requests import Key
from mlkit.flows.operations import access
from mlkit.project import Project, open_project
from mlkit.server.app import SERVICE, create_app
from mlkit.server.idempotency import IdempotentReplies
from mlkit.store import datasets
from mlkit.store.log_columns import Prediction
from mlkit.store.requests import Request

ROW = {"since": "2026-01-05T10:00:00Z", "age": 30, "plan": "free", "spend": 12.5, "active": False}
OTHER = {**ROW, "age": 61}
ID = "order-1"
SAID = "request_id 'order-1' has been used for another request"


def tensors(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row as V2 wants it."""
    kinds = {"age": "INT64", "spend": "FP64", "active": "BOOL"}
    return [
        {"name": name, "shape": [1], "datatype": kinds.get(name, "BYTES"), "data": [value]}
        for name, value in row.items()
    ]


WAYS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "/predict/churn": lambda row: {"rows": [row], "request_id": ID},
    "/invocations": lambda row: {"dataframe_records": [row], "params": {"request_id": ID}},
    "/models/churn/invocations": lambda row: {"inputs": [row], "params": {"request_id": ID}},
    "/v1/models/churn:predict": lambda row: {"instances": [row], "parameters": {"request_id": ID}},
    "/v2/models/churn/infer": lambda row: {
        "inputs": tensors(row), "parameters": {"request_id": ID},
    },
    "/v2/models/churn/versions/1/infer": lambda row: {
        "inputs": tensors(row), "parameters": {"request_id": ID},
    },
}  # fmt: skip


class Door:
    """A project with the champions churn and zebra, and two clients of both."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.ann = access.create(project, "ann").token
        self.bob = access.create(project, "bob").token
        self.apps: list[Any] = []
        self.worker = self.another_worker()

    def another_worker(self) -> Any:
        """Return a client of a worker that remembers nothing."""
        self.apps.append(create_app(self.project))
        return self.apps[-1].test_client()

    def ask(
        self, token: str, body: Any, path: str = "/predict/churn", worker: Any = None
    ) -> tuple[int, Any]:
        sent = body if isinstance(body, str | bytes) else json.dumps(body)
        reply = (worker or self.worker).post(
            path, data=sent, content_type="application/json",
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )  # fmt: skip
        return reply.status_code, reply.json

    def logged(self) -> int:
        for app in self.apps:
            app.extensions[SERVICE].recorder.stop()  # hands its journal on
        logs.sync(self.project)
        with self.project.read() as s:
            return s.scalar(select(func.count(Prediction.seq))) or 0

    def stop(self) -> None:
        for app in self.apps:
            app.extensions[SERVICE].stop()


def _later(project: Project, days: int) -> Project:
    """Return the project as it is after some days."""
    clock = project.root / "clock"
    clock.write_text((datetime.now(UTC) + timedelta(days=days)).isoformat())
    return replace(project, clock_file=clock)


@pytest.fixture
def door(two_models: Path, tmp_path: Path) -> Iterator[Door]:
    shutil.copytree(two_models, tmp_path / "project")
    made = Door(open_project(tmp_path / "project", environment={}))
    yield made
    made.stop()
    made.project.close()


def test_another_token_gets_its_own_answer_under_the_same_id(door: Door) -> None:
    body = {"rows": [ROW], "request_id": ID}
    first = door.ask(door.ann, body)
    assert first[0] == 200
    assert door.ask(door.ann, body) == first
    for worker in (door.worker, door.another_worker()):
        other = door.ask(door.bob, {"rows": [OTHER], "request_id": ID}, worker=worker)
        assert other[0] == 200
        assert other[1]["predictions"] != first[1]["predictions"]
    assert door.ask(door.ann, body, worker=door.another_worker()) == first
    assert door.logged() == 2


def test_another_model_gets_its_own_answer_under_the_same_id(door: Door) -> None:
    body = {"rows": [ROW], "request_id": ID}
    answers = {door.ask(door.ann, body, f"/predict/{m}")[1]["model"] for m in ("churn", "zebra")}
    assert answers == {"churn", "zebra"}
    assert door.logged() == 2


@pytest.mark.parametrize("path", list(WAYS))
def test_the_same_id_with_another_body_is_409_in_each_protocols_words(
    door: Door, path: str
) -> None:
    first = door.ask(door.ann, WAYS[path](ROW), path)
    assert first[0] == 200, first
    assert door.ask(door.ann, WAYS[path](ROW), path) == first
    for worker in (door.worker, door.another_worker()):
        status, body = door.ask(door.ann, WAYS[path](OTHER), path, worker)
        assert status == 409
        error = body.get("detail") or body.get("message") or body.get("error")
        assert error.startswith(SAID)
        if "invocations" in path:
            assert body["error_code"] == "RESOURCE_CONFLICT"
        if path.startswith("/predict"):
            assert (body["title"], body["status"]) == ("Conflict", 409)
    assert door.logged() == 1


def test_a_used_id_on_another_route_is_another_request(door: Door) -> None:
    assert door.ask(door.ann, WAYS["/predict/churn"](ROW))[0] == 200
    for path in list(WAYS)[1:]:
        assert door.ask(door.ann, WAYS[path](ROW), path)[0] == 409, path


class Spelling(NamedTuple):
    """A body, and whether it says the same as ``{"rows": [ROW], "request_id": "order-1"}``."""

    text: str
    same: bool


_SAME = json.dumps({"rows": [ROW], "request_id": ID})


@pytest.mark.parametrize(
    "spelling",
    [
        Spelling(_SAME, same=True),
        Spelling(json.dumps(json.loads(_SAME), indent=3, sort_keys=True), same=True),
        Spelling(_SAME.replace('"free"', '"fr\\u0065e"'), same=True),
        Spelling(_SAME.replace("12.5", "1.25e1"), same=True),
        Spelling(_SAME.replace(" 30,", " 30.0,"), same=True),
        Spelling(_SAME[:-1] + ', "entity_ids": null}', same=True),
        Spelling(_SAME[:-1] + ', "entity_ids": ["c7"]}', same=False),
        Spelling(_SAME.replace("12.5", "12.500000000000002"), same=False),
        Spelling(_SAME.replace('"free"', '"Free"'), same=False),
        Spelling(json.dumps({"rows": [ROW, ROW], "request_id": ID}), same=False),
        Spelling(json.dumps({"rows": [{**ROW, "note": "x"}], "request_id": ID}), same=False),
    ],
)
def test_spelling_does_not_count_and_everything_else_does(door: Door, spelling: Spelling) -> None:
    first = door.ask(door.ann, _SAME)
    again = door.ask(door.ann, spelling.text)
    assert again == first if spelling.same else again[0] == 409


def test_whole_numbers_beyond_what_a_float_holds_are_told_apart(door: Door) -> None:
    big = {**ROW, "age": 2**53 + 1}
    assert door.ask(door.ann, {"rows": [big], "request_id": ID})[0] == 200
    for age, status in ((2**53, 409), (2**53 + 1, 200), (2**53 + 2, 409)):
        body = {"rows": [{**ROW, "age": age}], "request_id": ID}
        assert door.ask(door.ann, body)[0] == status


def test_an_attempt_number_of_a_v2_client_does_not_make_another_request(door: Door) -> None:
    body = WAYS["/v2/models/churn/infer"](ROW)
    answers = [
        door.ask(door.ann, {**body, "id": attempt}, "/v2/models/churn/infer")[1]
        for attempt in ("one", "two")
    ]
    assert [answer["id"] for answer in answers] == ["one", "two"]
    assert answers[0]["outputs"] == answers[1]["outputs"]


def test_a_refused_request_uses_up_no_id(door: Door) -> None:
    assert door.ask(door.ann, {"rows": [{**ROW, "age": None}], "request_id": ID})[0] == 422
    assert door.ask(door.ann, {"rows": [ROW], "request_id": ID})[0] == 200


def test_a_promotion_in_between_changes_neither_answer_nor_identity(
    door: Door, register: Callable[..., Any]
) -> None:
    body = {"rows": [ROW], "request_id": ID}
    first = door.ask(door.ann, body)
    register(door.project, seed=7)
    fresh = door.another_worker()
    assert door.ask(door.ann, {"rows": [ROW]}, worker=fresh)[1]["version"] == 2
    assert door.ask(door.ann, body, worker=fresh) == first
    assert door.ask(door.ann, {"rows": [OTHER], "request_id": ID}, worker=fresh)[0] == 409


@pytest.mark.parametrize("rows", [1, 3])
def test_it_holds_in_the_journal_in_the_database_and_in_segments(door: Door, rows: int) -> None:
    body = {"rows": [ROW] * rows, "request_id": ID}
    first = door.ask(door.ann, body)
    assert door.ask(door.bob, {"rows": [OTHER], "request_id": ID})[0] == 200
    for place in ("journal", "database", "segment"):
        if place == "database":
            assert door.logged() == rows + 1
        if place == "segment":
            assert retention.seal(_later(door.project, 40)).rows == rows + 1
            assert door.logged() == 0
        fresh = door.another_worker()
        assert door.ask(door.ann, body, worker=fresh) == first, place
        wrong = {"rows": [OTHER], "request_id": ID}
        assert door.ask(door.ann, wrong, worker=fresh)[0] == 409, place
    assert len(logs.read(door.project, "churn")) == rows + 1
    retention.prune(_later(door.project, 400))  # what is no longer on record cannot be repeated
    with door.project.read() as s:
        assert s.scalars(select(Request)).all() == []
    assert door.ask(door.ann, body, worker=door.another_worker())[0] == 200


@pytest.mark.parametrize("sealed", [False, True])
def test_an_id_is_free_again_once_its_predictions_are_erased(
    trained: Project, *, sealed: bool
) -> None:
    with trained.write() as s:
        datasets.get(s, "churn").entity_column = "customer"
    app = create_app(trained)
    for request_id, entity in ((ID, "c7"), ("order-2", "c8")):
        body = {"rows": [ROW, ROW], "request_id": request_id, "entity_ids": ["c1", entity]}
        assert app.test_client().post("/predict/churn", json=body).status_code == 200
    app.extensions[SERVICE].stop()
    if sealed:
        assert retention.seal(_later(trained, 40)).rows == 4
    assert subject.erase(trained, "churn", ["c7"]).predictions == 1
    with trained.read() as s:
        assert [each.request_id for each in s.scalars(select(Request))] == ["order-2"]


def test_without_tokens_all_are_one_client(project: Project, register: Any) -> None:
    register(project)
    client = create_app(project).test_client()
    answers = [
        client.post("/predict/churn", json={"rows": [row], "request_id": ID}).status_code
        for row in (ROW, ROW, OTHER)
    ]
    assert answers == [200, 200, 409]


def test_twins_at_the_same_time_are_one_or_a_conflict(
    trained: Project, serve: Callable[..., Any]
) -> None:
    server = serve(trained.root, "--workers", "2")
    for turn in range(8):
        start = threading.Barrier(8)
        replies: list[tuple[int, Any]] = []

        def ask(age: int, turn: int = turn, start: Any = start, replies: Any = replies) -> None:
            start.wait()
            reply = server.predict({**ROW, "age": age}, request_id=f"twin {turn}")
            replies.append((age, reply))

        threads = [threading.Thread(target=ask, args=(30 + n % 2,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = {age for age, reply in replies if reply.status == 200}
        assert len(won) == 1
        assert {reply.status for age, reply in replies if age not in won} == {409}
        assert len({json.dumps(reply.body) for _, reply in replies if reply.status == 200}) == 1


def test_it_holds_when_everything_is_killed_in_between(
    trained: Project, start: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    server = start(trained.root, "--workers", "1")
    first = server.predict(ROW, request_id=ID)
    server.kill()
    server = serve(trained.root, "--workers", "2")
    assert server.predict(ROW, request_id=ID).body == first.body
    for _ in range(4):
        reply = server.predict({**ROW, "age": 61}, request_id=ID)
        assert (reply.status, reply.headers["Content-Type"]) == (409, "application/problem+json")
    assert server.predict(ROW, request_id=ID).body == first.body
    assert server.stop()[0] == 0
    assert len(logs.read(trained, "churn")) == 1


def test_a_deleted_lock_file_admits_nobody_to_a_turn_that_is_taken(project: Project) -> None:
    key = Key(1, "once", "")
    file = project.state_dir / "locks" / "requests"
    old, new = IdempotentReplies(project), IdempotentReplies(project)
    with old.serialized(key):
        pass
    file.unlink()
    with new.serialized(key):
        pass
    with old.serialized(key):
        handle = os.open(file, os.O_RDWR)
        try:
            code = (
                "import fcntl, sys\n"
                "try: fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
                "except OSError: sys.exit(7)\n"
            )
            words = [sys.executable, "-c", code, str(handle)]
            assert subprocess.run(words, pass_fds=[handle], check=False).returncode == 7
        finally:
            os.close(handle)


def test_one_who_waits_for_a_slow_model_holds_up_no_other_id(project: Project) -> None:
    replies, over, done = IdempotentReplies(project), threading.Event(), threading.Event()
    order = []

    def take(request_id: str, until: threading.Event) -> None:
        with replies.serialized(Key(1, request_id, "")):
            order.append(request_id)
            assert until.wait(10)

    slow = threading.Thread(target=take, args=("slow", over))
    slow.start()
    while not order:
        time.sleep(0.01)
    again = threading.Thread(target=take, args=("slow", over))
    again.start()
    done.set()
    other = threading.Thread(target=take, args=("other", done))
    other.start()
    other.join(5)
    assert not other.is_alive()
    assert order == ["slow", "other"]
    over.set()
    for thread in (slow, again):
        thread.join()
    assert order == ["slow", "other", "slow"]
