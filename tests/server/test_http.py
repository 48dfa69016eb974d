"""Every route as a client meets it: right answers, and errors that say what to mend."""

import csv
import io
import json
import socket
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from mlkit.cli.root import cli as root_command

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
UNKNOWN = "01a20bcd-b70f-795f-a898-287a7fbb75e2"


def _mlkit(server: Any, *words: object) -> str:
    result = CliRunner().invoke(root_command, ["--project", str(server.root), *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_prediction_names_the_version_and_gives_every_row_an_id(server: Any) -> None:
    reply = server.predict(ROW, {**ROW, "age": 70}, entity_ids=["ann", 7], request_id="two rows")
    assert reply.status == 200
    assert (reply.body["model"], reply.body["version"], reply.body["role"]) == (
        "churn",
        1,
        "champion",
    )
    assert reply.body["request_id"] == "two rows"
    first, second = reply.body["predictions"]
    assert first["id"] < second["id"]
    assert set(first["probabilities"]) == {"no", "yes"}
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    likelier = max(first["probabilities"], key=first["probabilities"].get)
    assert first["value"] == likelier


def test_http_and_files_give_the_same_numbers_bit_for_bit(server: Any, tmp_path: Path) -> None:
    rows = [
        {
            "age": 18 + i,
            "plan": ["free", "basic", "pro"][i % 3],
            "spend": i * 0.1 + 1e-9 if i % 5 else None,
            "active": i % 2 == 0,
        }
        for i in range(60)
    ]
    answered = server.predict(*rows).body["predictions"]
    file = tmp_path / "rows.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(ROW))
        writer.writeheader()
        writer.writerows({**row, "active": str(row["active"]).lower()} for row in rows)
    text = _mlkit(server, "predict", "churn", file)
    from_file = list(csv.DictReader(io.StringIO(text)))
    assert len(from_file) == len(answered)
    (yes,) = [name for name in from_file[0] if name.endswith("yes")]
    for one, other in zip(answered, from_file, strict=True):
        assert one["probabilities"]["yes"] == float(other[yes])
        assert one["value"] in other.values()


def test_a_request_id_gets_the_same_answer_and_is_recorded_once(server: Any) -> None:
    first = server.predict(ROW, request_id="once")
    again = server.predict(ROW, request_id="once")
    assert again.body == first.body
    assert server.predict({**ROW, "age": 60}, request_id="once").status == 409
    logged = json.loads(_mlkit(server, "log", "show", "churn", "--limit", "1000", "--json"))
    assert len([row for row in logged if "once" in row.values()]) == 1


def test_what_really_happened_is_taken_once_and_unknown_ids_are_named(server: Any) -> None:
    identifier = server.predict().body["predictions"][0]["id"]
    item = {"prediction_id": identifier, "actual": "yes", "observed_at": "2026-03-01T00:00:00Z"}
    other = {"prediction_id": UNKNOWN, "actual": "no"}
    first = server.ask("POST", "/actuals", {"items": [item, other]})
    assert (first.status, first.body) == (
        200,
        {"accepted": 1, "duplicates": 0, "unknown": [UNKNOWN]},
    )
    again = server.ask("POST", "/actuals", {"items": [{**item, "observed_at": None}]})
    assert again.body == {"accepted": 0, "duplicates": 1, "unknown": []}
    against = server.ask("POST", "/actuals", {"items": [other, {**item, "actual": "no"}]})
    assert (against.status, against.headers["Content-Type"]) == (409, "application/problem+json")
    assert [problem["row"] for problem in against.body["problems"]] == [1]
    (row,) = [
        row
        for row in json.loads(_mlkit(server, "log", "show", "churn", "--limit", "1000", "--json"))
        if row["id"] == identifier
    ]
    assert row["actual"] == "yes"


@pytest.mark.parametrize(
    ("items", "status", "words"),
    [
        ([{"prediction_id": UNKNOWN}], 422, "actual"),
        ([{"prediction_id": UNKNOWN, "actual": None}], 422, "actual"),
        ([{"prediction_id": UNKNOWN, "actual": [1]}], 422, "actual"),
        ([{"prediction_id": UNKNOWN, "actual": "no", "extra": 1}], 422, "extra"),
        ([{"prediction_id": UNKNOWN, "actual": "no", "observed_at": "soon"}], 422, "observed_at"),
        ([{"prediction_id": UNKNOWN, "actual": "no"}] * 301, 413, "server.max_rows"),
    ],
)
def test_bad_actuals_are_refused_by_name(server: Any, items: Any, status: int, words: str) -> None:
    reply = server.ask("POST", "/actuals", {"items": items})
    assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json")
    assert words in reply.body["detail"]


@pytest.mark.parametrize("actual", [5, 1.5, True, 10**400], ids=str)
def test_an_actual_that_is_no_label_of_the_model_is_refused(server: Any, actual: Any) -> None:
    identifier = server.predict().body["predictions"][0]["id"]
    reply = server.ask(
        "POST", "/actuals", {"items": [{"prediction_id": identifier, "actual": actual}]}
    )
    assert reply.status in (400, 422)
    assert "500" not in str(reply.body)


def test_life_and_readiness(server: Any) -> None:
    assert server.ask("GET", "/livez").body == {"status": "ok"}
    ready = server.ask("GET", "/readyz")
    assert (ready.status, ready.body["status"], ready.body["models"]) == (
        200,
        "ready",
        {"churn": 1},
    )
    page = server.ask("GET", "/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"churn, version 1" in page.body


def test_every_bad_value_of_every_row_is_named(server: Any) -> None:
    rows = [
        {**ROW, "age": "old"},
        {**ROW, "active": "yes", "plan": 3},
        {key: value for key, value in ROW.items() if key != "age"},
        {**ROW, "age": 2.5},
        {**ROW, "age": None},
    ]
    reply = server.predict(*rows)
    assert (reply.status, reply.headers["Content-Type"]) == (422, "application/problem+json")
    assert {key: reply.body[key] for key in ("type", "title", "status")} == {
        "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
    }  # fmt: skip
    named = {(problem["row"], problem["column"]) for problem in reply.body["problems"]}
    assert named == {(0, "age"), (1, "active"), (1, "plan"), (2, "age"), (3, "age"), (4, "age")}
    assert all(problem["problem"] for problem in reply.body["problems"])


def test_values_that_the_model_has_never_seen_are_answered(server: Any) -> None:
    rows = [
        {**ROW, "plan": "gold"},
        {**ROW, "spend": None},
        {**ROW, "spend": 1e30},
        {**ROW, "age": -5},
        {**ROW, "plan": "\x00 ' ; DROP TABLE model --"},
    ]
    reply = server.predict(*rows)
    assert reply.status == 200, reply.body
    for answer in reply.body["predictions"]:
        assert all(0 <= p <= 1 for p in answer["probabilities"].values())


ONE = json.dumps({"rows": [ROW]}).encode()
BODIES = {
    "nothing": (b"", 400),
    "no JSON": (b"{rows}", 400),
    "half of it": (ONE[:-3], 400),
    "two documents": (ONE + ONE, 400),
    "NaN": (ONE.replace(b"12.5", b"NaN"), 400),
    "Infinity": (ONE.replace(b"12.5", b"Infinity"), 400),
    "1e999": (ONE.replace(b"12.5", b"1e999"), 422),
    "2**63": (ONE.replace(b"30", str(2**63).encode()), 422),
    "400 digits": (ONE.replace(b"30", b"9" * 400), 422),
    "latin-1": (ONE.replace(b"free", b"fr\xe9e"), 400),
    "deep": (b'{"rows":' + b"[" * 5000 + b"]" * 5000 + b"}", 422),
    "a deep value": (b'{"rows":[{"age":' + b"[" * 20_000 + b"]" * 20_000 + b"}]}", 400),
    "a list": (b"[]", 422),
    "no rows": (b'{"rows": []}', 422),
    "rows of lists": (b'{"rows": [[1, 2]]}', 422),
    "unknown field": (b'{"rows": [{}], "threshold": 1}', 422),
    "a long request id": (json.dumps({"rows": [ROW], "request_id": "x" * 129}).encode(), 422),
    "too few entities": (json.dumps({"rows": [ROW], "entity_ids": []}).encode(), 422),
    "too many rows": (json.dumps({"rows": [{}] * 301}).encode(), 413),
    "too many bytes": (b" " * 60_001, 413),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_is_refused_and_never_an_error_of_the_server(server: Any, case: str) -> None:
    body, status = BODIES[case]
    reply = server.ask("POST", "/predict/churn", body)
    assert (reply.status, reply.body["status"]) == (status, status), reply.body
    assert reply.body["detail"]
    assert server.predict().status == 200


@pytest.mark.parametrize("body", [ROW, [ROW], {"row": ROW}, {"rows": ROW}])
def test_whoever_sends_rows_in_another_form_is_told_the_right_one(server: Any, body: Any) -> None:
    reply = server.ask("POST", "/predict/churn", body)
    assert reply.status == 422
    assert reply.body["detail"].endswith('; send {"rows": [{column: value, ...}, ...]}')


def test_a_key_that_is_there_twice_is_refused_however_it_hides(project: Any, register: Any) -> None:
    """Times lose and gain colons on their way to the canonical form."""
    from mlkit.server.app import SERVICE, create_app

    register(project)
    app = create_app(project)
    row = {**ROW, "since": "2026-01-01"}
    good = json.dumps({"rows": [row]})
    twice = good.replace('"age": 30', '"age": 31, "age": 32, "age": 30')
    client = app.test_client()
    answers = [
        client.post("/predict/churn", data=body, content_type="application/json").status_code
        for body in (good, twice)
    ]
    app.extensions[SERVICE].stop()
    assert answers == [200, 400]


def test_a_misspelt_column_is_named_as_missing_and_one_too_many_is_no_matter(server: Any) -> None:
    reply = server.predict({("agee" if name == "age" else name): ROW[name] for name in ROW})
    assert reply.status == 422
    assert reply.body["problems"] == [{"row": 0, "column": "age", "problem": "missing"}]
    assert server.predict({**ROW, "since": "2026-02-20T12:00:00Z"}).status == 200


@pytest.mark.parametrize(
    ("method", "path", "kind", "status"),
    [
        ("POST", "/predict/churn", "text/csv", 415),
        ("POST", "/predict/churn", "", 415),
        ("GET", "/predict/churn", None, 405),
        ("PUT", "/actuals", "application/json", 405),
        ("POST", "/livez", "application/json", 405),
        ("POST", "/predict/spam", "application/json", 404),
        ("POST", "/predict/..%2f..%2fml.sqlite", "application/json", 404),
        ("POST", "/predict/a/b", "application/json", 404),
        ("GET", "/nothing", None, 404),
        ("GET", "/" + "x" * 3000, None, 404),
    ],
)
def test_what_is_not_there_or_not_understood_is_a_problem_document(
    server: Any, method: str, path: str, kind: str | None, status: int
) -> None:
    reply = server.ask(method, path, None if kind is None else ONE, kind=kind or "")
    assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json")
    assert reply.body["status"] == status
    if status == 405:
        assert reply.headers["Allow"]
    if path.endswith("spam"):
        assert "known: churn" in reply.body["detail"]


def test_a_compressed_body_is_refused(server: Any) -> None:
    reply = server.ask("POST", "/predict/churn", ONE, Content_Encoding="gzip")
    assert reply.status == 415


def test_a_name_of_another_machine_is_not_answered_for(server: Any) -> None:
    reply = server.ask("POST", "/predict/churn", ONE, Host="evil.example")
    assert (reply.status, reply.body["detail"].count("evil.example")) == (403, 1)
    assert server.ask("POST", "/predict/churn", ONE, Host="192.0.2.7:80").status == 200


def test_every_answer_carries_the_headers_that_keep_a_browser_safe(server: Any) -> None:
    for reply in (server.predict(), server.ask("GET", "/livez"), server.ask("GET", "/nothing")):
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Cache-Control"] == "no-store"


def test_a_client_that_leaves_in_the_middle_harms_nobody(server: Any) -> None:
    for cut in (10, 60, len(ONE) - 1):
        with socket.create_connection(("127.0.0.1", server.port)) as link:
            head = (
                f"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(ONE)}\r\n"
            )
            link.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + ONE[:cut])
    assert server.predict().status == 200


def test_hundreds_of_requests_go_over_one_connection(server: Any) -> None:
    connection = server.connect()
    ids = set()
    for _ in range(300):
        connection.request("POST", "/predict/churn", ONE, {"Content-Type": "application/json"})
        ids.add(json.loads(connection.getresponse().read())["predictions"][0]["id"])
    connection.close()
    assert len(ids) == 300


def test_actuals_can_come_from_a_file(server: Any, tmp_path: Path) -> None:
    ids = [row["id"] for row in server.predict(*[ROW] * 3).body["predictions"]]
    file = tmp_path / "actuals.csv"
    lines = [
        f"{identifier},{label}" for identifier, label in zip([*ids, uuid4()], "nyyy", strict=True)
    ]
    file.write_text(
        "\n".join(["prediction_id,actual", *lines]).replace(",n", ",no").replace(",y", ",yes")
    )
    said = _mlkit(server, "actual", "add", file)
    assert "3 accepted, 0 had one already, 1 belong to no prediction" in said
