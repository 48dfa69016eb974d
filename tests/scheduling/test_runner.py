"""A due time is run once, in a process that cannot hurt its runner, and its end is on record."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mlkit import timetable
from mlkit.errors import BusyError
from mlkit.flows.alerts import alerting
from mlkit.project import Project, open_project
from mlkit.scheduling import runner, supervisor
from mlkit.scheduling.runner import RunResult
from mlkit.settings.table import Jobs
from mlkit.store import runs
from mlkit.store.disk import processes
from mlkit.timetable import Job

SLOT = datetime(2026, 1, 5, 1, tzinfo=UTC)

JOBS = '''
"""Jobs that behave and jobs that do not."""
import os, signal, subprocess, sys, time
from pathlib import Path
from mlkit.errors import InvalidInputError
from mlkit.timetable import Job

def note(project, text):
    (project.root / "notes").open("a").write(text + "\\n")

def good(project):
    print("this went to stdout")
    print("this went to stderr", file=sys.stderr)
    note(project, "good")
    return "two  lines\\nbecome one"

def slow(project):
    note(project, f"slow {os.getpid()}")
    time.sleep(60)

def wrong(project):
    raise InvalidInputError("the source is gone; put it back")

def buggy(project):
    return {}["missing"]

def leaves(project):
    sys.exit("enough")

def dies(project):
    os.kill(os.getpid(), signal.SIGKILL)

def greedy(project):
    return str(len(bytearray(1 << 31)))

def stubborn(project):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; sleep 60 & wait; sleep 60"])
    note(project, f"{os.getpid()} {child.pid}")
    time.sleep(60)

def who(project):
    limits = Path("/proc/self/limits").read_text()
    return f"{os.environ['MLKIT_ACTOR']} {os.getsid(0) == os.getpid()} {project.now():%Y}"

TIMETABLE = tuple(
    Job(run.__name__, run=run, at="0 1 * * *")
    for run in (good, slow, wrong, buggy, leaves, dies, greedy, stubborn, who)
)
'''


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Spare each child the import of what all of them need."""
    supervisor.preload([])


@pytest.fixture
def jobs(project: Project) -> dict[str, Job]:
    (project.root / "jobs").mkdir()
    (project.root / "jobs" / "__init__.py").write_text(JOBS)
    return {job.name: job for job in timetable.load(project)}


@pytest.fixture
def impatient(project: Project) -> Iterator[Project]:
    """The project with a deadline of a second and a memory limit that a greedy job reaches."""
    hurried = Jobs(deadline_s=1, grace_s=0.2, memory_mb=1024, heartbeat_s=0.1)
    settings = msgspec.structs.replace(project.settings, jobs=hurried)
    made = Project(project.root, settings, project.database)
    yield made
    made.close()


def _wait_for(what: Callable[[], Any], *, patience_s: float = 10.0) -> Any:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it never happened")


def _notes(project: Project) -> list[str]:
    file = project.root / "notes"
    return file.read_text().splitlines() if file.exists() else []


def _open_alerts(project: Project) -> list[str]:
    return [alert.key for alert in alerting.ongoing(project)]


def _is_dead(pid: int) -> bool:
    return processes.identity(pid).endswith("gone")


def test_a_good_run_is_recorded_with_one_line_and_its_output(
    project: Project, jobs: dict[str, Job]
) -> None:
    result = runner.run_one(project, jobs["good"], SLOT)
    assert (result.status, result.summary, result.ran) == ("ok", "two lines become one", True)
    assert result.output == project.log_dir / "jobs" / "good" / "20260105T010000Z.log"
    assert result.output.read_text() == "this went to stdout\nthis went to stderr\n"
    assert result.output.stat().st_mode & 0o077 == 0
    (found,) = runner.history(project, "good", limit=5)
    assert found == result


def test_a_due_time_is_run_once(project: Project, jobs: dict[str, Job]) -> None:
    first = runner.run_one(project, jobs["good"], SLOT)
    again = runner.run_one(project, jobs["good"], SLOT)
    assert (first.ran, again.ran, again.status) == (True, False, "ok")
    assert runner.run_one(project, jobs["good"], SLOT + timedelta(days=1)).ran
    assert _notes(project) == ["good", "good"]


def test_many_runners_that_race_for_a_slot_run_it_once(
    project: Project, jobs: dict[str, Job]
) -> None:
    results: list[RunResult] = []
    start = threading.Barrier(8)

    def race() -> None:
        mine = open_project(project.root, environment={})
        start.wait()
        results.append(runner.run_one(mine, jobs["good"], SLOT))
        mine.close()

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.ran for result in results) == [False] * 7 + [True]
    assert _notes(project) == ["good"]


@pytest.mark.parametrize(
    ("name", "status", "summary"),
    [
        ("wrong", "failed", "the source is gone; put it back"),
        ("buggy", "failed", "KeyError: 'missing'"),
        ("leaves", "failed", "SystemExit: enough"),
        ("dies", "failed", "killed by SIGKILL, as the kernel does when memory runs out"),
        ("greedy", "oom", "out of memory; the limit is 1024 MiB (jobs.memory_mb)"),
    ],
)
def test_a_run_that_fails_says_how_and_raises_one_alert(
    impatient: Project, jobs: dict[str, Job], name: str, status: str, summary: str
) -> None:
    for day in range(2):
        result = runner.run_one(impatient, jobs[name], SLOT + timedelta(days=day))
        assert (result.status, result.summary) == (status, summary)
    assert _open_alerts(impatient) == [f"job:{name}"]


def test_the_traceback_of_a_bug_is_in_the_output(project: Project, jobs: dict[str, Job]) -> None:
    result = runner.run_one(project, jobs["buggy"], SLOT)
    assert 'return {}["missing"]' in result.output.read_text()


def test_a_run_whose_output_cannot_be_written_says_so(
    project: Project, jobs: dict[str, Job]
) -> None:
    (project.log_dir / "jobs").write_text("no folder")
    result = runner.run_one(project, jobs["good"], SLOT)
    assert (result.status, _notes(project)) == ("failed", [])
    assert "did not begin" in result.summary
    assert "log/jobs/good" in result.summary
    assert "cannot be written: " in result.summary


def test_the_next_good_run_resolves_the_alert(project: Project, jobs: dict[str, Job]) -> None:
    broken = Job("good", run=jobs["good"].run, at="0 1 * * *")
    package = project.root / "jobs" / "__init__.py"
    package.write_text(JOBS.replace('note(project, "good")', "1 / 0"))
    assert runner.run_one(project, broken, SLOT).status == "failed"
    assert _open_alerts(project) == ["job:good"]
    package.write_text(JOBS)
    assert runner.run_one(project, broken, SLOT + timedelta(days=1)).status == "ok"
    assert _open_alerts(project) == []


def test_the_deadline_ends_a_job_that_ignores_sigterm_and_its_children(
    impatient: Project, jobs: dict[str, Job]
) -> None:
    began = time.monotonic()
    result = runner.run_one(impatient, jobs["stubborn"], SLOT)
    assert (result.status, result.summary) == ("timeout", "stopped after 1 s (jobs.deadline_s)")
    assert time.monotonic() - began < 5
    (pids,) = _notes(impatient)
    for pid in map(int, pids.split()):
        _wait_for(lambda pid=pid: _is_dead(pid))


def test_the_child_leads_its_own_session_and_acts_as_the_job(
    project: Project, jobs: dict[str, Job], tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("2013-02-01T00:00:00+00:00")
    replay = Project(project.root, project.settings, project.database, clock_file=clock)
    result = runner.run_one(replay, jobs["who"], SLOT)
    assert result.summary == "job:who True 2013"
    assert result.started_at == result.ended_at  # this clock stands still
    assert result.duration_s is not None
    assert result.duration_s > 0


def test_a_job_that_is_still_running_is_not_started_beside_itself(
    project: Project, jobs: dict[str, Job]
) -> None:
    stop, stopper = Pipe(duplex=False)
    first: list[RunResult] = []
    thread = threading.Thread(
        target=lambda: first.append(runner.run_one(project, jobs["slow"], SLOT, stop=stop))
    )
    thread.start()
    _wait_for(lambda: _notes(project))
    with pytest.raises(BusyError, match="still running"):
        runner.run_one(project, jobs["slow"], SLOT + timedelta(days=1))
    assert not runner.run_one(project, jobs["slow"], SLOT).ran
    stopper.close()
    thread.join(timeout=10)
    assert first[0].summary == "stopped, because its runner was told to stop"
    (note,) = _notes(project)
    _wait_for(lambda: _is_dead(int(note.split()[1])))
    assert runner.history(project, "slow", limit=5) == first


def test_a_run_marks_itself_alive_while_it_works(impatient: Project, jobs: dict[str, Job]) -> None:
    thread = threading.Thread(target=runner.run_one, args=(impatient, jobs["slow"], SLOT))
    thread.start()
    _wait_for(lambda: _notes(impatient))
    beats = set()

    def beaten() -> bool:
        with impatient.read() as s:
            for run in runs.running(s):
                beats.add((run.heartbeat_at, run.child))
        return len(beats) > 3

    _wait_for(beaten)
    thread.join()
    assert len({child for _, child in beats if child is not None}) == 1


def _claim(project: Project, *, runner_: str, child: str | None, beat: datetime) -> int:
    with project.write() as s:
        run = runs.claim(s, "good", SLOT, runner=runner_, now=beat)
        assert run is not None
        run.child = child
    return run.id


def test_a_run_whose_runner_has_vanished_is_lost_and_reported_and_the_next_one_works(
    project: Project, jobs: dict[str, Job]
) -> None:
    gone = processes.identity().rsplit(" ", 1)[0] + " 1"
    _claim(project, runner_=gone, child=None, beat=project.now())
    (reaped,) = runner.reap(project)
    (lost,) = runner.history(project, "good", limit=1)
    assert (reaped.job, lost.status, lost.duration_s) == ("good", "lost", None)
    assert _open_alerts(project) == ["job:good"]
    assert runner.reap(project) == []
    assert runner.run_one(project, jobs["good"], SLOT + timedelta(days=1)).status == "ok"
    assert _open_alerts(project) == []


def test_a_runner_on_another_host_is_lost_only_when_its_heart_has_stopped(
    project: Project, jobs: dict[str, Job]
) -> None:
    far = "elsewhere.example boot 7 7"
    _claim(project, runner_=far, child=None, beat=project.now() - timedelta(seconds=20))
    assert runner.reap(project) == []
    with project.write() as s:
        (run,) = runs.running(s)
        run.heartbeat_at = project.now() - timedelta(hours=1)
    assert [run.job for run in runner.reap(project)] == ["good"]


def test_what_was_missed_runs_once_in_the_order_of_the_timetable(
    project: Project, jobs: dict[str, Job]
) -> None:
    chosen = [jobs["good"], jobs["who"]]
    _age(project)
    results = list(runner.run_missed(project, chosen))
    assert [(result.job, result.status) for result in results] == [("good", "ok"), ("who", "ok")]
    assert list(runner.run_missed(project, chosen)) == []


def test_what_was_missed_too_long_ago_stays_missed(
    project: Project, jobs: dict[str, Job], tmp_path: Path
) -> None:
    yearly = Job("good", run=jobs["good"].run, at="0 1 1 1 *")
    clock = tmp_path / "clock"
    clock.write_text("2026-01-03T00:00:00+00:00")
    late = Project(project.root, project.settings, project.database, clock_file=clock)
    _age(project)
    assert list(runner.run_missed(late, [yearly])) == []
    clock.write_text("2026-01-01T23:00:00+00:00")
    (result,) = runner.run_missed(late, [yearly])
    assert result.due == datetime(2026, 1, 1, 1, tzinfo=UTC)


def _age(project: Project) -> None:
    """As if project and timetable had been there for years."""
    for file in (project.state_dir / "key", project.root / "jobs" / "__init__.py"):
        os.utime(file, (1e9, 1e9))


def test_nothing_was_missed_before_the_project_and_the_timetable_were_there(
    project: Project, jobs: dict[str, Job]
) -> None:
    always = Job("good", run=jobs["good"].run, at="* * * * *")
    assert list(runner.run_missed(project, [always, jobs["who"]])) == []
    slot = always.last_until(project.now())
    assert runner.run_one(project, always, slot - timedelta(minutes=1)).ran
    (result,) = runner.run_missed(project, [always])  # now it has been there for longer
    assert result.due >= slot


def test_nothing_is_made_up_for_that_was_due_before_a_run_by_hand(
    project: Project, jobs: dict[str, Job]
) -> None:
    assert runner.run_one(project, jobs["good"], project.now()).ran
    assert list(runner.run_missed(project, [jobs["good"]])) == []


def test_a_run_that_is_stopped_on_request_is_no_failure(
    project: Project, jobs: dict[str, Job]
) -> None:
    stop, stopper = Pipe(duplex=False)
    stopper.close()
    result = runner.run_one(project, jobs["slow"], SLOT, stop=stop)
    assert (result.status, result.failed) == ("stopped", False)
    assert _open_alerts(project) == []
    assert runner.run_one(project, jobs["wrong"], SLOT).failed
    runner.run_one(project, jobs["slow"], SLOT + timedelta(days=1), stop=stop)
    assert _open_alerts(project) == ["job:wrong"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_told_to_stop_opens_no_alert(
    project: Project, jobs: dict[str, Job], number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "mlkit", "--project", str(project.root), "job", "run", "slow"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(lambda: _notes(project), patience_s=60)
        finally:
            process.send_signal(number)
    (run,) = runner.history(project, "slow", limit=2)
    assert run.status == "stopped"
    assert _open_alerts(project) == []


def test_what_a_job_prints_is_kept_up_to_a_limit_beginning_and_end(project: Project) -> None:
    (project.root / "jobs").mkdir()
    (project.root / "jobs" / "__init__.py").write_text(LOUD)
    (loud,) = timetable.load(project)
    settings = msgspec.structs.replace(project.settings, jobs=Jobs(output_kb=10))
    brief = Project(project.root, settings, project.database)
    result = runner.run_one(brief, loud, SLOT)
    brief.close()
    said = result.output.read_text()
    assert result.status == "failed"
    assert said.startswith("begin\n")
    assert "of a child" in said
    assert "ValueError: the end" in said
    assert re.search(r"\[\d{6,} bytes are left out here: jobs.output_kb\]", said)
    assert len(said) < 10_200


LOUD = """
import subprocess
from mlkit.timetable import Job

def loud(project):
    print("begin")
    for _ in range(50_000):
        print("x" * 100)
    subprocess.run(["sh", "-c", "echo of a child"], check=True)
    raise ValueError("the end")

TIMETABLE = (Job("loud", run=loud, at="0 1 * * *"),)
"""


def test_kill_9_of_the_runner_takes_the_job_along_and_is_reported_as_lost(
    project: Project, jobs: dict[str, Job]
) -> None:
    command = [sys.executable, "-m", "mlkit", "--project", str(project.root), "job", "run", "slow"]
    with subprocess.Popen(command) as process:
        note = _wait_for(lambda: _notes(project))[0]
        process.kill()
    _wait_for(lambda: _is_dead(int(note.split()[1])))
    (lost,) = runner.reap(project)
    assert lost.job == "slow"
    assert _open_alerts(project) == ["job:slow"]
    assert runner.run_one(project, jobs["good"], SLOT).status == "ok"
