"""Where the time of one request goes: each part of the server by itself, in one process.

    python bench/serving/parts.py PROJECT MODEL BODY.json

Run in an environment with mlkit, with OMP_NUM_THREADS=1.
"""

import io
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlkit.flows.log import imports
from mlkit.project import open_project
from mlkit.server.app import SERVICE, create_app
from mlkit.server.front import Front
from mlkit.server.protocols import native
from mlkit.server.query import Message
from mlkit.store import journal
from mlkit.store.log_columns import Entry

CALLS, REPEATS = 3_000, 5


def main() -> None:
    """Print a table."""
    root, model, file = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    project = open_project(root)
    app = create_app(project)
    service = app.extensions[SERVICE]
    front = Front(service, app)
    body = file.read_bytes()
    held = service.holder.get(model)
    environ = _environ(model, body)
    message = Message(body, "application/json", environ)
    query = native.decode(held.reader, message)
    matrix = held.reader.matrix(query.rows)
    answers = service.scorer.answer(held, query, time.perf_counter_ns())
    entry = _entry(project)
    now = project.now()
    parts: dict[str, Callable[[], Any]] = {
        "decode (and check every value)": lambda: native.decode(held.reader, message),
        "who may ask": lambda: service.access.check(environ, "predict", model=model),
        "rows to matrix": lambda: held.reader.matrix(query.rows),
        "predictor": lambda: held.ask(matrix),
        "log": lambda: service.recorder.record(entry, now),
        "encode": lambda: native.reply(answers, query),
        "metrics": lambda: service.meter.answered("/predict/<model>", model, 200, 0.001, 1),
        "all of it, ahead of Flask": lambda: front(_environ(model, body), _ignore),
        "all of it, by way of Flask": lambda: list(app(_environ(model, body), _ignore)),
    }
    print("| part | µs |\n|---|---|")
    for name, act in parts.items():
        took = min(timeit.repeat(act, number=CALLS, repeat=REPEATS)) / CALLS
        print(f"| {name} | {took * 1e6:.1f} |")
    service.recorder.stop()
    imports.collect(project)
    for _ in range(CALLS):
        parts["all of it, ahead of Flask"]()
    service.stop()
    started = time.process_time()
    rows = imports.collect(project)
    took = (time.process_time() - started) / rows
    print(f"| import into SQLite, another process | {took * 1e6:.1f} |")


def _environ(model: str, body: bytes) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST", "PATH_INFO": f"/predict/{model}", "SCRIPT_NAME": "",
        "QUERY_STRING": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000",
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "http",
    }  # fmt: skip


def _entry(project: Any) -> Entry:
    (path,) = journal.files(project.journal_dir)
    return journal.read(path).entries[0]


def _ignore(*_: Any) -> Callable[[bytes], object]:
    """Take the status and the headers; nobody writes."""
    return bytes


if __name__ == "__main__":
    main()
