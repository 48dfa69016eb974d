"""A refused request leaves one line, without what the client sent; answered ones if asked for."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import Client

from mlkit.flows.operations import access
from mlkit.project import Project, open_project
from mlkit.server import request_log
from mlkit.server.app import SERVICE, create_app
from mlkit.server.front import Front
from mlkit.server.problems import Fault, RefusedError
from mlkit.server.request_log import Requested, RequestLog
from mlkit.settings.table import Server

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
PERSONAL = "Ann-Example-1970"
LINE = re.compile(
    r"(refused|failed) (?P<status>\d+) (?P<method>\S+) (?P<route>\S+) model=(?P<model>\S+) "
    r'token=(?P<token>\S+) client=(?P<client>\S+) why="(?P<why>[^"]+)"'
)


class Door:
    """Both ways into one service, and what they log."""

    def __init__(self, project: Project, caplog: pytest.LogCaptureFixture) -> None:
        self.project = project
        self.shop = access.create(project, "shop", rate=1)
        self.reader = access.create(project, "reader", scope="read")
        self.app = create_app(project)
        self.service = self.app.extensions[SERVICE]
        self.client = Client(Front(self.service, self.app))
        self.caplog = caplog
        self.lines()

    def ask(self, method: str, path: str, token: str = "", **sent: Any) -> int:
        """Ask, without the limits of rates and failures."""
        self.service.access._failures._arrivals.clear()
        self.service.access._limits._cells[:] = bytes(len(self.service.access._limits._cells))
        return self.again(method, path, token, **sent)

    def again(self, method: str, path: str, token: str = "", **sent: Any) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= sent.pop("headers", {})
        base = {"REMOTE_ADDR": "127.0.0.1"}
        reply = self.client.open(path, method=method, headers=headers, environ_base=base, **sent)
        return reply.status_code

    def lines(self) -> list[str]:
        found = [r.getMessage() for r in self.caplog.records if r.name in _LOGGERS]
        self.caplog.clear()
        return found


_LOGGERS = ("mlkit.refused", "mlkit.access")


@pytest.fixture
def door(trained: Project, caplog: pytest.LogCaptureFixture) -> Iterator[Door]:
    made = Door(trained, caplog)
    yield made
    made.service.stop()


def _body(door: Door, **fields: Any) -> dict[str, Any]:
    return {"json": {"rows": [{**ROW, **fields}], "request_id": PERSONAL, "entity_ids": [PERSONAL]}}


def test_every_refusal_is_one_line_with_route_status_token_address_and_reason(door: Door) -> None:
    shop, name = door.shop.token, f"shop:{door.shop.id}"
    cases: list[tuple[int, tuple[str, str, str], dict[str, Any], str, str]] = [
        (401, ("POST", "/predict/churn", ""), _body(door), "-", "no token"),
        (401, ("GET", "/metrics", "mlkit_0_x"), {}, "-", "unknown or revoked token"),
        (403, ("POST", "/predict/churn", door.reader.token), _body(door),
         f"reader:{door.reader.id}", "scope read, needs predict"),
        (403, ("GET", "/livez", ""), {"headers": {"Host": "evil.example"}}, "-",
         "host evil.example"),
        (404, ("GET", f"/a b/{PERSONAL}", ""), {}, "-", "no such path, model or version"),
        (404, ("POST", f"/predict/{PERSONAL}", shop), _body(door), name,
         "no such path, model or version"),
        (405, ("DELETE", "/metrics", ""), {}, "-", "no such method here"),
        (415, ("POST", "/predict/churn", shop), {"data": PERSONAL, "content_type": "text/html"},
         name, "media type or encoding"),
        (400, ("POST", "/predict/churn", shop),
         {"data": f'{{"{PERSONAL}', "content_type": "application/json"}, name,
         "malformed body or header"),
        (413, ("POST", "/predict/churn", shop),
         {"data": b"a" * 5_000_001, "content_type": "application/json"}, name,
         "body or rows too many"),
        (422, ("POST", "/predict/churn", shop), _body(door, age=PERSONAL), name,
         "unfit values: age"),
        (422, ("POST", "/predict/churn", shop), {"json": {"rows": [], PERSONAL: PERSONAL}}, name,
         "unfit values"),
        (422, ("POST", "/actuals", shop), {"json": {"items": [{PERSONAL: PERSONAL}]}}, name,
         "unfit values"),
        (422, ("POST", "/v1/models/churn:predict", shop), {"json": {"instances": PERSONAL}}, name,
         "unfit values"),
    ]  # fmt: skip
    for status, (method, path, token), sent, who, why in cases:
        assert door.ask(method, path, token, **sent) == status, path
        (line,) = door.lines()
        found = LINE.fullmatch(line)
        assert found is not None, line
        assert (int(found["status"]), found["method"]) == (status, method)
        assert (found["token"], found["client"]) == (who, "127.0.0.1")
        assert found["why"] == why
        for secret in (PERSONAL, door.shop.token, door.reader.token, "mlkit_0_x"):
            assert secret not in line


def test_a_rate_and_a_conflict_leave_a_line(door: Door) -> None:
    body = _body(door)
    assert door.ask("POST", "/predict/churn", door.shop.token, **body) == 200
    assert door.again("POST", "/predict/churn", door.shop.token, **body) == 429
    assert door.ask("POST", "/predict/churn", door.shop.token, **_body(door, age=60)) == 409
    reasons = [found["why"] for line in door.lines() if (found := LINE.fullmatch(line))]
    assert reasons == ["rate of the token", "request_id or actual used for something else"]


def test_what_is_answered_leaves_no_line_unless_asked_for(
    trained: Project, caplog: pytest.LogCaptureFixture
) -> None:
    (trained.root / "mlkit.toml").write_text("[server]\naccess_log = true\n")
    project = open_project(trained.root, environment={})
    with caplog.at_level(logging.INFO):
        quiet, loud = Door(trained, caplog), Door(project, caplog)
        try:
            for path in ("/livez", "/readyz"):
                assert quiet.ask("GET", path) == 200
            assert quiet.ask("POST", "/predict/churn", quiet.shop.token, **_body(quiet)) == 200
            assert quiet.lines() == []
            assert loud.ask("POST", "/predict/churn", loud.shop.token, **_body(loud)) == 200
            assert loud.ask("GET", "/livez") == 200
            assert loud.ask("GET", "/metrics") == 401
            first, second, third = loud.lines()
        finally:
            quiet.service.stop()
            loud.service.stop()
            project.close()
    assert re.fullmatch(
        rf"answered 200 POST /predict/<model> model=churn token=shop:{loud.shop.id} "
        r"client=127.0.0.1 ms=\d+\.\d",
        first,
    )
    assert second.startswith("answered 200 GET /livez model=- token=- client=127.0.0.1 ms=")
    assert third.startswith("refused 401 GET /metrics ")


def test_a_flood_is_bounded_counted_and_hides_no_other_refusal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = RequestLog(Server(refusal_log=5))
    environ = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "192.0.2.1"}
    for _ in range(10_000):
        log.answered(environ, Requested("/metrics"), 401, 0.0, "no token")
    log.answered(environ, Requested("/predict/<model>", "churn"), 422, 0.0, "unfit values")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 6
    assert lines[-1].startswith("refused 422 ")
    log._minute_ends = 0.0
    log.answered(environ, Requested("/livez"), 200, 0.0)
    assert caplog.records[-1].getMessage() == "refused 401: 9995 more within a minute, not listed"
    log.answered(environ, Requested("/metrics"), 401, 0.0, "no token")
    assert caplog.records[-1].getMessage().startswith("refused 401 GET /metrics ")
    assert log._suppressed == {}


def test_a_new_minute_begins_after_one_without_a_flood(caplog: pytest.LogCaptureFixture) -> None:
    log = RequestLog(Server(refusal_log=2))
    for _ in range(3):
        for _ in range(2):
            log.answered({}, Requested("/x"), 401, 0.0, "no token")
        log._minute_ends = 0.0
    assert len(caplog.records) == 6


def test_none_is_written_where_the_settings_say_none(caplog: pytest.LogCaptureFixture) -> None:
    RequestLog(Server(refusal_log=0)).answered({}, Requested("/x"), 401, 0.0, "no token")
    assert caplog.records == []


@pytest.mark.parametrize(
    "text",
    ["a\nb", "\x1b]0;title\x07", "\x9b31m", "a\rb", "\u202eabc", "\x00", "\ud800", 'a" why="x',
     "\u2028", "\\x1b"],
)  # fmt: skip
def test_no_text_of_a_client_controls_a_terminal_or_forges_a_line(text: str) -> None:
    shown = request_log.printable(text, 100)
    assert shown.isprintable()
    assert '"' not in shown
    assert "\n" not in shown
    shown.encode()


def test_a_secret_in_a_path_is_not_written(door: Door) -> None:
    secret = door.shop.token
    assert door.ask("GET", f"/{secret}") == 404
    assert door.ask("GET", f"/metrics/{secret}") == 404
    assert door.ask("GET", f"/{'a' * 60}{secret}") == 404
    for line in door.lines():
        assert secret.rpartition("_")[2][:12] not in line


def test_a_path_makes_no_field_of_its_own(door: Door) -> None:
    assert door.ask("GET", "/a model=b token=c") == 404
    (line,) = door.lines()
    assert line.startswith(r"refused 404 GET /a\x20model=b\x20token=c model=- token=- client=")


def test_a_long_path_makes_a_short_line(door: Door) -> None:
    assert door.ask("GET", "/" + "\x1b" * 9_000) == 404
    (line,) = door.lines()
    assert len(line) < 700


def test_an_unexpected_error_is_a_failure_and_says_where_to_look() -> None:
    assert request_log.why(Fault(500, "x")) == "error in the server or the model, see above"
    assert request_log.why(Fault(418, "x")) == "refused"
    fault = Fault(422, "x", {"problems": [{"column": "b"}, {"column": PERSONAL}, {"row": 1}]})
    assert request_log.why(fault, ("a", "b")) == "unfit values: b"
    many = {"problems": [{"column": str(n)} for n in range(9)]}
    assert request_log.why(Fault(422, "x", many), [str(n) for n in range(9)]).endswith("4, ...")
    assert RefusedError(401, "x").why == ""


def test_a_served_project_writes_the_line_to_stderr(trained: Project, serve: Any) -> None:
    server = serve(trained.root, "--workers", "1")
    assert server.predict({"age": PERSONAL}).status == 422
    code, said = server.stop()
    assert code == 0
    (line,) = [line for line in said.splitlines() if "refused" in line]
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING refused 422 POST ", line)
    assert PERSONAL not in said
