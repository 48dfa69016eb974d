"""Each verdict leads to one command, and a quiet one to none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlkit.flows.monitoring import advice
from mlkit.flows.monitoring.advice import Verdict

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MISSING = {"features": [{"column": "age", "kind": "missing", "drifted": True}]}
MOVED = {"features": [{"column": "age", "kind": "number", "drifted": True}]}


def _verdict(verdict: str, details: dict[str, Any], **changes: Any) -> Verdict:
    usual: dict[str, Any] = {"summary": "said", "at": NOW, "window": timedelta(days=1)}
    return Verdict(verdict=verdict, details=details, **{**usual, **changes})


@pytest.mark.parametrize(
    ("found", "degraded", "command"),
    [
        (None, False, "mlkit drift check m"),
        (_verdict("ok", {}), False, ""),
        (_verdict("drift", MOVED), False, "mlkit perf check m"),
        (_verdict("drift", MOVED), True, "mlkit retrain m"),
        (_verdict("drift", MISSING), True, "mlkit log show m"),
        (_verdict("insufficient_data", {}), False, "mlkit drift check m --window 7d"),
        (
            _verdict("insufficient_data", {}, window=timedelta(days=9)), False,
            "mlkit drift check m --window 18d",
        ),
        (_verdict("ok", {}, at=NOW - timedelta(days=3)), False, "mlkit drift check m"),
    ],
)  # fmt: skip
def test_what_to_do_about_the_inputs(
    found: Verdict | None, degraded: bool, command: str
) -> None:  # fmt: skip
    error = advice.on_performance("m", _verdict("degraded" if degraded else "ok", {}), now=NOW)
    done = advice.on_drift("m", found, error=error, now=NOW)
    assert (done.command, bool(done.why)) == (command, bool(command))
    assert done.verdict == (found.verdict if found else "none")


@pytest.mark.parametrize(
    ("found", "command"),
    [
        (None, "mlkit perf check m"),
        (_verdict("ok", {}), ""),
        (_verdict("degraded", {"diagnosis": "the error grew and inputs moved"}), "mlkit retrain m"),
        (_verdict("degraded", {"diagnosis": "missing: look upstream"}), "mlkit log show m"),
        (_verdict("insufficient_data", {"rows": 0}), "mlkit actual add FILE"),
        (_verdict("insufficient_data", {"rows": 9}), "mlkit perf check m --window 7d"),
    ],
)
def test_what_to_do_about_the_error(found: Verdict | None, command: str) -> None:
    assert advice.on_performance("m", found, now=NOW).command == command


def test_an_old_verdict_is_no_news() -> None:
    old = _verdict("drift", MOVED, at=NOW - timedelta(days=30))
    error = advice.on_performance("m", None, now=NOW)
    done = advice.on_drift("m", old, error=error, now=NOW)
    assert done.why == "that was 30 days ago: check again"


def test_both_kinds_of_advice_agree() -> None:
    upstream = _verdict("degraded", {"diagnosis": "missing: look upstream"})
    error = advice.on_performance("m", upstream, now=NOW)
    inputs = advice.on_drift("m", _verdict("drift", MOVED), error=error, now=NOW)
    assert inputs.command == error.command == "mlkit log show m"
    assert inputs.why == f"the error grew as well: {error.why}"
