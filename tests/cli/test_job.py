"""``mlkit job``: list, run, history, crontab, systemd, and their exit codes."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlkit.project import Project
from mlkit.scheduling import supervisor

JOBS = """
import time
from mlkit.timetable import Job

def good(project):
    (project.root / "notes").open("a").write("x")
    return "all quiet"

def bad(project):
    raise ValueError("no such column")

def slow(project):
    (project.root / "notes").open("a").write("x")
    try:
        time.sleep(60)
    finally:
        (project.root / "notes").open("a").write("y")

TIMETABLE = (Job("good", run=good, at="0 3 * * *"), Job("bad", run=bad, at="30 4 1 * *"),
             Job("slow", run=slow, at="0 0 1 1 *"))
"""


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    supervisor.preload([])


@pytest.fixture
def with_jobs(project: Project, cli: Any) -> Any:
    (project.root / "jobs").mkdir()
    (project.root / "jobs" / "__init__.py").write_text(JOBS)
    return cli


def test_list_shows_the_timetable_and_what_happened_last(with_jobs: Any) -> None:
    assert "never" not in with_jobs("job", "list").stdout
    with_jobs("job", "run", "good")
    good, bad, _ = with_jobs.json("job", "list")
    assert (good["job"], good["at"], good["status"]) == ("good", "0 3 * * *", "ok")
    assert (bad["job"], bad["status"], bad["due"]) == ("bad", None, None)
    assert "all quiet" in with_jobs("job", "list").stdout


def test_a_slot_is_run_once_and_the_second_clock_is_told(with_jobs: Any) -> None:
    first = with_jobs.json("job", "run", "good", "--due", "slot")
    assert (first["status"], first["ran"], first["summary"]) == ("ok", True, "all quiet")
    assert "was run already for" in with_jobs("job", "run", "good", "--due", "slot").stdout
    assert with_jobs.json("job", "run", "good", "--due", first["due"])["ran"] is False
    assert with_jobs.json("job", "run", "good")["ran"] is True
    assert (with_jobs.root / "notes").read_text() == "xx"


def test_two_processes_that_start_a_slot_together_run_it_once(with_jobs: Any) -> None:
    command = [sys.executable, "-m", "mlkit", "--project", str(with_jobs.root)]
    command += ["job", "run", "good", "--due", "slot"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=30)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == "good ok: all quiet\n"
    assert said[1].startswith("good was run already for")
    assert (with_jobs.root / "notes").read_text() == "x"


def test_a_failed_run_is_exit_code_1_and_says_where_its_output_is(with_jobs: Any) -> None:
    refused = with_jobs.json("job", "run", "bad", code=1)
    (run,) = refused["runs"]
    assert (run["status"], run["summary"]) == ("failed", "ValueError: no such column")
    assert "no such column" in Path(run["output"]).read_text()
    assert f"(its output: {run['output']})" in refused["error"]
    assert "ValueError: no such column" in with_jobs("job", "run", "bad", code=1).stderr


def test_sigterm_stops_the_job_and_the_record_says_so(with_jobs: Any) -> None:
    command = [sys.executable, "-m", "mlkit", "--project", str(with_jobs.root), "job", "run"]
    notes = with_jobs.root / "notes"
    with subprocess.Popen([*command, "slow"]) as process:
        while not notes.exists() and process.poll() is None:
            time.sleep(0.02)
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM
    (run,) = with_jobs.json("job", "history")
    assert run["status"] == "stopped"
    assert run["summary"] == "stopped, because its runner was told to stop"
    assert notes.read_text() == "xy"  # it was given the time to clean up
    assert "time.sleep(60)" in Path(run["output"]).read_text()


def test_missed_slots_are_run_once(with_jobs: Any) -> None:
    jobs = with_jobs.root / "jobs" / "__init__.py"
    long_ago = (datetime.now(UTC) + timedelta(days=10)).day  # of a month: some twenty days ago
    jobs.write_text(JOBS.replace("30 4 1 * *", f"30 4 {long_ago} * *"))
    assert with_jobs("job", "run", "--missed").stdout == "nothing was missed\n"  # it is new
    for file in (with_jobs.root / ".mlkit/key", jobs):
        os.utime(file, (1e9, 1e9))
    (run,) = with_jobs.json("job", "run", "--missed")
    assert (run["job"], run["status"]) == ("good", "ok")
    assert with_jobs("job", "run", "--missed").stdout == "nothing was missed\n"


@pytest.mark.parametrize(
    "words", [(), ("good", "--missed"), ("--missed", "--due", "slot"), ("good", "bad")]
)
def test_what_to_run_must_be_said_in_one_way(with_jobs: Any, words: tuple[str, ...]) -> None:
    with_jobs("job", "run", *words, code=2)


def test_unknown_jobs_and_times_are_errors_with_a_way_out(with_jobs: Any) -> None:
    assert "known: good, bad, slow" in with_jobs("job", "run", "god", code=1).stderr
    assert "known: good, bad, slow" in with_jobs("job", "history", "god", code=1).stderr
    assert "is no due time" in with_jobs("job", "run", "good", "--due", "noon", code=1).stderr


def test_history_lists_the_newest_runs_first(with_jobs: Any) -> None:
    assert with_jobs.json("job", "history") == []
    with_jobs("job", "run", "good")
    with_jobs("job", "run", "bad", code=1)
    assert [run["job"] for run in with_jobs.json("job", "history")] == ["bad", "good"]
    assert [run["job"] for run in with_jobs.json("job", "history", "good")] == ["good"]
    assert len(with_jobs.json("job", "history", "--limit", "1")) == 1
    assert "no such column" in with_jobs("job", "history").stdout


def test_crontab_and_systemd_print_what_to_install(with_jobs: Any, tmp_path: Path) -> None:
    printed = with_jobs("job", "crontab").stdout
    assert "0 3 * * * " in printed
    assert printed.endswith('CRON_TZ=""\n# <<< mlkit ' + f"{with_jobs.root}\n")  # no empty value
    assert with_jobs.json("job", "crontab")["crontab"] == printed
    units = with_jobs.json("job", "systemd")
    assert units["mlkit-project-good.timer"] in with_jobs("job", "systemd").stdout
    said = with_jobs("job", "systemd", "--out", tmp_path / "units").stdout
    assert "systemctl enable --now mlkit-project-good.timer mlkit-project-bad.timer " in said
    assert {file.name: file.read_text() for file in (tmp_path / "units").iterdir()} == units


def test_crontab_can_be_installed_beside_the_users_own_lines(
    with_jobs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("@daily me\n")
    program = tmp_path / "crontab"
    program.write_text(f'#!/bin/sh\n[ "$1" = -l ] && exec cat {kept}\ncat > {kept}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    done = with_jobs("job", "crontab", "--install")
    assert "your crontab now runs:" in done.stderr
    assert kept.read_text().startswith("@daily me\n")
    assert done.stdout.rstrip() in kept.read_text()
    assert with_jobs.json("job", "crontab", "--install")["installed"] is True
    assert kept.read_text().count("job run good") == 1
