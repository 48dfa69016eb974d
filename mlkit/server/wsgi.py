"""The WSGI application factory, which granian calls in each worker process."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from flask import Flask

from mlkit.errors import MlkitError
from mlkit.project import open_project
from mlkit.server import connections, listener
from mlkit.server.app import SERVICE, create_app
from mlkit.server.front import Front
from mlkit.server.periodic_thread import PeriodicThread
from mlkit.server.service import Service
from mlkit.server.slow_clients import CHECK_EVERY_S, SlowClients
from mlkit.store.disk import processes

_POLL_S = 0.2


def build() -> Front:
    """Open the project that ``MLKIT_PROJECT`` names and return its running application."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until there is a Front that can drain
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # meant for the parent; a terminal sends it to all
    os.umask(0o077)
    processes.rename("mlkit-worker")
    with suppress(OSError):  # a new request does not preempt one that is being answered
        os.sched_setscheduler(
            0, os.SCHED_BATCH, os.sched_param(0)
        )  # p99 down by a fifth (measured)
    parent = os.getppid()
    threading.Thread(
        target=_end_with_parent, args=(parent,), name="mlkit-parent", daemon=True
    ).start()
    app = _create_app()
    service: Service = app.extensions[SERVICE]
    slow_clients = SlowClients(service.project.settings.server)
    front = Front(service, app, slow_clients)
    signal.signal(signal.SIGUSR1, lambda *_: front.drain())
    port = connections.listening_port()
    service.start(PeriodicThread("mlkit-clients", lambda: slow_clients.check(port), CHECK_EVERY_S))
    listener.report_ready()
    return front


def _create_app() -> Flask:
    """Return the application; if the project cannot be opened, exit with a line on stderr."""
    try:
        return create_app(open_project(), Path(os.environ["MLKIT_METRICS"]))
    except (MlkitError, OSError) as error:
        raise SystemExit(f"a worker cannot start: {error}") from error


def _end_with_parent(parent: int) -> None:
    """Exit when the main process has died, however it died, so that its port is free again.

    All answers are in the journal, so nothing is lost.
    """
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)
