"""A client of the prediction server that counts what it sent and what failed."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from typing import Any

import msgspec

_TIMEOUT_S = 30.0
_PAUSE_S = 0.02  # between requests in the background: traffic, not load
_HEADERS = {"Content-Type": "application/json"}


class Predicted(msgspec.Struct, frozen=True):
    """The answer to one row."""

    id: str
    value: float


class Answer(msgspec.Struct, frozen=True):
    """The part of a reply of ``POST /predict/<model>`` that the demo uses."""

    version: int
    predictions: list[Predicted]


class Client:
    """One kept-alive connection to the server of ``model``; every request is counted."""

    def __init__(self, port: int, model: str) -> None:
        self.sent = 0
        self.failed = 0
        self._model = model
        self._connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> Answer | None:
        """Return the answer, or None if the request failed."""
        body = self._post(f"/predict/{self._model}", {"rows": rows})
        return None if body is None else msgspec.json.decode(body, type=Answer)

    def observe(self, actuals: Mapping[str, float]) -> None:
        """Post what really happened, by prediction id."""
        items = [{"prediction_id": key, "actual": value} for key, value in actuals.items()]
        self._post("/actuals", {"items": items})

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._connection.close()

    def _post(self, path: str, content: object) -> bytes | None:
        self.sent += 1
        try:
            self._connection.request("POST", path, msgspec.json.encode(content), _HEADERS)
            reply = self._connection.getresponse()
            body = reply.read()
        except (OSError, HTTPException):
            self._connection.close()
            self.failed += 1
            return None
        if reply.status != 200:
            self.failed += 1
            return None
        return body


@contextmanager
def asking(client: Client, rows: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """Keep asking for one of ``rows`` after another in the background."""
    over = threading.Event()

    def ask() -> None:
        for row in cycle(rows):
            client.predict([row])
            if over.wait(_PAUSE_S):
                break
        client.close()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
