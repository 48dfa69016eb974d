"""The client counts every request, and a failed one ends nothing."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from mlkit.demo.client import Answer, Client, Predicted, asking

ROW = {"distance": 1400}


class Server(ThreadingHTTPServer):
    """Answers with ``status``, and remembers what it was asked."""

    daemon_threads = True
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    """One request of the tests."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        content = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, content))
        rows = content.get("rows", [])
        predictions = [{"id": f"p{place}", "value": 227.5} for place, _ in enumerate(rows)]
        body = msgspec.json.encode({"version": 3, "role": "champion", "predictions": predictions})
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    made = Client(server.server_address[1], "flights")
    yield made
    made.close()


def test_rows_become_answers_in_their_order(server: Server, client: Client) -> None:
    answer = client.predict([ROW, ROW])
    assert answer == Answer(3, [Predicted("p0", 227.5), Predicted("p1", 227.5)])
    assert server.asked == [("/predict/flights", {"rows": [ROW, ROW]})]
    assert (client.sent, client.failed) == (1, 0)


def test_actuals_are_posted_by_prediction_id(server: Server, client: Client) -> None:
    client.observe({"p0": 227.0, "p1": 160.0})
    items = [
        {"prediction_id": "p0", "actual": 227.0},
        {"prediction_id": "p1", "actual": 160.0},
    ]
    assert server.asked == [("/actuals", {"items": items})]


@pytest.mark.parametrize("status", [404, 422, 429, 500, 503])
def test_an_answer_that_is_no_success_counts_as_failed(
    server: Server, client: Client, status: int
) -> None:
    server.status = status
    assert client.predict([ROW]) is None
    client.observe({"p0": 1.0})
    assert (client.sent, client.failed) == (2, 2)
    server.status = 200
    assert client.predict([ROW]) is not None
    assert (client.sent, client.failed) == (3, 2)


def test_a_server_that_is_gone_counts_as_failed(server: Server) -> None:
    server.server_close()
    client = Client(server.server_address[1], "flights")
    assert client.predict([ROW]) is None
    assert (client.sent, client.failed) == (1, 1)


def test_somebody_goes_on_asking_until_the_work_is_done(server: Server, client: Client) -> None:
    rows = [{"distance": 1}, {"distance": 2}]
    with asking(client, rows):
        deadline = time.monotonic() + 5
        while len(server.asked) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
    sent = client.sent
    asked = [content["rows"][0]["distance"] for _, content in server.asked]
    assert asked[:4] == [1, 2, 1, 2]
    assert sent == len(asked) >= 5
    time.sleep(0.1)
    assert client.sent == sent


def test_asking_ends_when_the_work_fails(client: Client) -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="the job failed"), asking(client, [ROW]):
        raise RuntimeError("the job failed")
    assert threading.active_count() <= before + 1  # the server's own thread of the connection
