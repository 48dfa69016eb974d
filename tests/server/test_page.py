"""The page at ``/``, as a browser shows it."""

import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import pytest

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.mark.skipif(which("chromium") is None, reason="chromium is not on the path")
def test_a_browser_shows_what_is_served(server: Any, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.port}/"
    command = ["chromium", *QUIET, f"--user-data-dir={tmp_path}", "--dump-dom", url]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "<li>churn, version 1: POST /predict/churn</li>" in shown
    assert '<a href="/readyz">' in shown
