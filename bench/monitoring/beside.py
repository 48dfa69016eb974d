"""What the drift job does to the answers of the server beside it.

Each of them is in a session of its own, as cron and systemd start them.
"""

import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Self

import commands
import environments
import numpy as np

SECONDS = 20.0
CLIENTS = 4
RATE = 400  # requests a second of all clients: a third of a core
_STOP_S = 20.0


def measure(work: Path, *, repeats: int) -> str:
    """Return latencies with and without ``mlkit job run drift`` one after another beside it."""
    folder = commands.project(work, commands.A_DAY, 1)
    program = environments.python(work, "mlkit").with_name("mlkit")
    server = subprocess.Popen(
        [program, "--project", folder, "serve", "--port", "8099"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _wait()
        found: dict[str, list[np.ndarray]] = {"alone": [], "beside jobs": []}
        jobs: list[int] = []
        for repeat in range(repeats):
            commands.say(f"round {repeat + 1}: the server alone")
            found["alone"].append(_latencies_ms())
            commands.say(f"round {repeat + 1}: the server beside jobs")
            with _Jobs([program, "--project", folder, "job", "run", "drift"]) as running:
                found["beside jobs"].append(_latencies_ms())
            jobs.append(running.done)
    finally:
        server.terminate()
        server.wait(_STOP_S)
    return _render(found, jobs)


class _Jobs:
    """Run a job again and again in the background."""

    def __init__(self, command: list[Path | str]) -> None:
        self.done = 0
        self._command = command
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.is_set():
            subprocess.run(
                self._command, stdout=subprocess.DEVNULL, check=True, start_new_session=True
            )
            self.done += 1


def _latencies_ms() -> np.ndarray:
    """Return how long answers took, counted from when they were due: nobody waits for the slow."""
    found: list[float] = []
    threads = [threading.Thread(target=_ask, args=(found, place)) for place in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.array(found)


def _ask(found: list[float], place: int) -> None:
    row = ",".join([f'"x{i}":0.5' for i in range(20)] + [f'"c{i}":"alpha"' for i in range(5)])
    body = f'{{"rows":[{{{row}}}]}}'.encode()
    connection = HTTPConnection("127.0.0.1", 8099, timeout=10)
    step = CLIENTS / RATE
    start = time.perf_counter() + place * step / CLIENTS
    for number in range(int(SECONDS / step)):
        due = start + number * step
        time.sleep(max(0.0, due - time.perf_counter()))
        connection.request("POST", "/predict/orders", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        reply.read()
        if reply.status != 200:
            sys.exit(f"the server answered {reply.status}")
        found.append((time.perf_counter() - due) * 1000)
    connection.close()


def _wait() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection = HTTPConnection("127.0.0.1", 8099, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def _render(found: dict[str, list[np.ndarray]], jobs: list[int]) -> str:
    lines = [
        f"### The server beside the drift job: {RATE} requests a second for {SECONDS:g} s", "",
        f"{sum(jobs)} runs of `mlkit job run drift` one after another in {len(jobs)} rounds.", "",
        "| server | p50 ms | p99 ms | p99.9 ms |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, rounds in found.items():
        cells = [f"{median(np.percentile(r, q) for r in rounds):.3g}" for q in (50, 99, 99.9)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    pairs = zip(found["beside jobs"], found["alone"], strict=True)
    ratio = median(np.percentile(a, 99) / np.percentile(b, 99) for a, b in pairs)
    return "\n".join([*lines, "", f"p99 beside jobs / alone: {ratio:.3g}.", ""])
