"""Start a server, check its answers, put load on it, and read what that cost."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from models import Model
from servers import PORT, Ask, Server, start

CONNECTIONS = {"c1": 1, "c16": 16, "c64": 64, "bulk": 8}
BULK_ROWS = 1_000
WARM_S = 1.0
PATIENCE_S = 90.0
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def measure(work: Path, server: Server, model: Model, *, seconds: float) -> list[dict[str, Any]]:
    """Return a point for each number of connections, or one with the reason why there is none."""
    began = time.monotonic()
    process = start(work, server, model)
    common: dict[str, Any] = {"server": server.name, "model": model.name}
    try:
        common["start_s"] = _wait(process, server, model, began)
        common["difference"] = _difference(server, model)
        found = [
            {**common, "point": point, **_point(process.pid, server, model, point, seconds)}
            for point in server.points
        ]
        memory = _pss(process.pid)
        return [{**point, "pss_mb": memory} for point in found]
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        say(f"  failed: {error!r}; see {work / 'server.log'}")
        return [{**common, "point": "failed", "reason": repr(error)}]
    finally:
        _end(process)


def _wait(process: "subprocess.Popen[bytes]", server: Server, model: Model, began: float) -> float:
    """Return the seconds from the start of the process to its first right answer."""
    while time.monotonic() - began < PATIENCE_S:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with code {process.returncode}")
        try:
            _send(server.ask(model, 1))
            return time.monotonic() - began
        except OSError:  # refused, reset, or not ready yet
            time.sleep(0.02)
    raise RuntimeError(f"no answer within {PATIENCE_S:.0f} s")


def _send(ask: Ask) -> bytes:
    url = f"http://127.0.0.1:{PORT}{ask.path}"
    request = urllib.request.Request(url, ask.body, dict(ask.headers))
    with urllib.request.urlopen(request, timeout=30) as reply:
        body: bytes = reply.read()
        return body


def _difference(server: Server, model: Model) -> float | None:
    """Return the largest distance to scikit-learn's probabilities, of one row and of a thousand."""
    if server.read is None:
        return None
    worst = 0.0
    for count in (1, BULK_ROWS):
        rows = server.read(json.loads(_send(server.ask(model, count))))
        expected = [model.expected[i % len(model.expected)] for i in range(count)]
        if len(rows) != count:
            raise ValueError(f"{len(rows)} answers for {count} rows")
        for row, right in zip(rows, expected, strict=True):
            worst = max(worst, *(abs(a - b) for a, b in zip(row, right, strict=True)))
    if worst > 1e-6:
        raise ValueError(f"its answers are off by {worst}")
    return worst


def _point(pid: int, server: Server, model: Model, name: str, seconds: float) -> dict[str, Any]:
    rows = BULK_ROWS if name == "bulk" else 1
    script = _script(server.ask(model, rows))
    _wrk(script, CONNECTIONS[name], WARM_S)
    before, idle_before = _cpu_ticks(pid), _idle_ticks()
    began = time.monotonic()
    found = _wrk(script, CONNECTIONS[name], seconds)
    took = time.monotonic() - began
    used = _cpu_ticks(pid) - before
    busy = os.cpu_count() - (_idle_ticks() - idle_before) * TICK_US / 1e6 / took  # type: ignore[operator]
    found["cpu_us"] = used * TICK_US / max(found["requests"], 1)
    found["rows_s"] = found["rps"] * rows
    found["other_cores"] = max(0.0, busy - used * TICK_US / 1e6 / took - found.pop("wrk_cores"))
    return found


def _script(ask: Ask) -> Path:
    """Write the request for wrk."""
    folder = Path("/tmp/mlkit-bench")  # noqa: S108
    folder.mkdir(exist_ok=True)
    (folder / "body").write_bytes(ask.body)
    lines = ['wrk.method = "POST"', f'wrk.path = "{ask.path}"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in ask.headers.items()]
    lines.append(f'wrk.body = io.open("{folder / "body"}", "rb"):read("*a")')
    (folder / "ask.lua").write_text("\n".join(lines))
    return folder / "ask.lua"


def _wrk(script: Path, connections: int, seconds: float) -> dict[str, Any]:
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "--timeout", "20s",
             "-s", str(script), f"http://127.0.0.1:{PORT}/"]  # fmt: skip
    before = os.times()
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
    errors += sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", text)))
    return {
        "requests": int(re.search(r"(\d+) requests in", text)[1]),  # type: ignore[index]
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),  # type: ignore[index]
        "p50_ms": _milliseconds(text, "50%"),
        "p99_ms": _milliseconds(text, "99%"),
        "errors": errors,
        "wrk_cores": used / seconds,
    }


def _milliseconds(text: str, percentile: str) -> float:
    value, unit = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def _tree(pid: int) -> list[int]:
    found = [pid]
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in file.read_text().split():
            found += _tree(int(child))
    return found


def _cpu_ticks(pid: int) -> int:
    total = 0
    for each in _tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total


def _idle_ticks() -> int:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(fields[4]) + int(fields[5])


def _pss(pid: int) -> float:
    total = 0
    for each in _tree(pid):
        text = Path(f"/proc/{each}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]
    return total / 1024


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop the server and whatever it has started, by their numbers."""
    try:
        pids = _tree(process.pid)
    except FileNotFoundError:
        pids = []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    time.sleep(0.3)
