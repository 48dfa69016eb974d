"""The way past Flask for predictions.

Flask's request machinery costs 300 microseconds, three times the whole rest of a prediction
(measured); both ways end in the same ``Service.score``.
"""

import os
import socket
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from mlkit.server import connections
from mlkit.server.service import Service
from mlkit.server.slow_clients import SlowClients

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Front:
    """A WSGI application that answers predictions and passes on all else."""

    def __init__(
        self, service: Service, app: Wsgi, slow_clients: SlowClients | None = None
    ) -> None:
        self._service = service
        self._app = app
        self._slow_clients = slow_clients or SlowClients(service.project.settings.server)
        self._leaving = False

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        self._slow_clients.begin(environ)
        try:
            return self._answer(environ, start_response)
        finally:
            self._slow_clients.end()

    def leave(self) -> None:
        """Take no more connections and end each that there is with its next answer.

        The port is open in other processes, too: what this one does not take, they do. Its number
        is given to a socket that nobody knows, because the front offers no way to stop only that.
        """
        self._leaving = True
        for handle in connections.handles():
            if connections.listening(handle):
                with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
                    deaf.setblocking(False)
                    os.dup2(deaf.fileno(), handle, inheritable=False)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        target = None
        if environ["REQUEST_METHOD"] == "POST":
            target = self._service.routes.find(environ["PATH_INFO"])
        if target is None:
            return self._app(environ, self._last(start_response))
        reply = self._service.score(environ, target)
        self._last(start_response)(reply.status, reply.headers)
        return [reply.body]

    def _last(self, start_response: Any) -> Any:
        """Return what begins an answer: one that ends its connection once this process leaves."""
        if not self._leaving:
            return start_response

        def closing_response(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, ("Connection", "close")], *rest)

        return closing_response
