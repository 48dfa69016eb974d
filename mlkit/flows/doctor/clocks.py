"""Check the scheduler of the jobs: the daemon, cron or systemd, and whether it runs."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mlkit.flows.doctor.findings import Finding, fail, ok, warn
from mlkit.project import Project
from mlkit.store.disk import locks

_CRONS = ("cron", "crond", "fcron", "dcron", "bcron-start", "systemd-cron")
_CRON_PIDS = (Path("/run/crond.pid"), Path("/run/cron.pid"), Path("/var/run/crond.pid"))
_SYSTEMD = Path("/run/systemd/system")
_UNIT_FOLDERS = (
    Path("/etc/systemd/system"),
    Path("/usr/local/lib/systemd/system"),
)
_USER_UNITS = Path("~/.config/systemd/user")
_STARTS = re.compile(r'^ExecStart=(?:"([^"]*)"|(\S+))', re.MULTILINE)
_WAIT_S = 5


def clocks(project: Project) -> Iterator[Finding]:
    """Name the scheduler of this project's jobs: there should be one, and it must run."""
    missing = list(_missing_programs(project))
    yield from missing
    running: list[str] = []
    stopped: list[tuple[str, str]] = []
    for name, runs, fix in _clocks(project):
        if runs:
            running.append(name)
        else:
            stopped.append((name, fix))
    if len(running) == 1 and not missing:
        yield ok(f"{running[0]} runs the jobs")
    elif len(running) > 1:
        yield warn(
            f"{' and '.join(running)} run the jobs; each due time still runs once",
            "keep one of them",
        )
    for name, fix in [] if running else stopped:
        yield warn(f"{name} has the jobs of this project but does not run", fix)
    if not running and not stopped:
        yield warn(
            "nothing seen that runs the jobs",
            "choose one: mlkit job crontab --install, mlkit job systemd, or mlkit daemon",
        )


def _missing_programs(project: Project) -> Iterator[Finding]:
    """Find schedulers whose program does not exist, for example after a venv was moved."""
    folders = (*_UNIT_FOLDERS, _USER_UNITS.expanduser())
    for name, programs, fix in (
        ("cron", _cron_programs(project.root), "mlkit job crontab --install"),
        ("systemd", _unit_programs(project.root, folders), "mlkit job systemd --out FOLDER"),
    ):
        for program in programs:
            if program.startswith("/") and not os.access(program, os.X_OK):
                yield fail(
                    f"{name} is to run the jobs by {program}, which is not there",
                    f"write anew: {fix}",
                )


def _cron_programs(root: Path) -> list[str]:
    found = set()
    for line in _crontab_lines(root):
        with suppress(ValueError, IndexError):  # an unterminated quote: cron's shell reports it
            found.add(shlex.split(line.partition(" -m mlkit ")[0].replace(r"\%", "%"))[-1])
    return sorted(found)


def _unit_programs(root: Path, folders: tuple[Path, ...]) -> list[str]:
    end = f" of {root}\n".replace("%", "%%")
    texts = [_text(file) for folder in folders for file in folder.glob("mlkit-*.service")]
    found = {m[1] or m[2] for text in texts if end in text for m in _STARTS.finditer(text)}
    return sorted(each.replace("%%", "%") for each in found)


def _clocks(project: Project) -> Iterator[tuple[str, bool, str]]:
    """Yield each scheduler that has the jobs, whether it runs, and the command that starts it."""
    lock = project.state_dir / "locks" / "daemon"
    if lock.exists() and locks.is_held(lock):
        yield "the daemon", True, ""
    if _crontab_lines(project.root):
        yield "cron", cron_runs(), "start cron (for example: sudo service cron start)"
    for own, timers in ((False, _timers(project.root, _UNIT_FOLDERS)),
                        (True, _timers(project.root, (_USER_UNITS.expanduser(),)))):  # fmt: skip
        if timers:
            user = "--user " if own else ""
            fix = f"systemctl {user}enable --now {' '.join(timers)}"
            yield "systemd timers", _active(timers, own=own), fix


def cron_runs() -> bool:
    """Tell whether a cron daemon runs on this machine (in this container)."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):  # the process has just ended
            if comm.read_text().strip() in _CRONS:
                return True
    # /proc may hide the processes of other users
    return any(_is_alive(file) for file in _CRON_PIDS)


def _is_alive(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except PermissionError:
        return True  # root's
    except (OSError, ValueError):
        return False
    return True


def _crontab_lines(root: Path) -> list[str]:
    """Return the lines of the user's crontab that run jobs of the project."""
    program = shutil.which("crontab")
    if program is None:
        return []
    word = shlex.quote(str(root)).replace("%", r"\%")
    return [
        line
        for line in _output(program, "-l").splitlines()
        if not line.lstrip().startswith("#") and f"{word} job run " in line
    ]


def _timers(root: Path, folders: tuple[Path, ...]) -> list[str]:
    """Return the names of the project's timers, found by its path in their descriptions."""
    end = f" of {root}\n".replace("%", "%%")
    return sorted(
        timer.name
        for folder in folders
        for timer in folder.glob("mlkit-*.timer")
        if end in _text(timer)
    )


def _text(file: Path) -> str:
    """Return the text of a unit file, empty if it cannot be read."""
    with suppress(OSError):
        return file.read_text(errors="surrogateescape")
    return ""


def _active(timers: list[str], *, own: bool) -> bool:
    """Tell whether systemd runs here and waits for any of the timers."""
    program = shutil.which("systemctl")
    if program is None or not _SYSTEMD.is_dir():
        return False
    words = [program, *(["--user"] if own else []), "is-active", *timers]
    return "active" in _output(*words).split()


def _output(*words: str) -> str:
    """Return the output of a program, empty if it does not end in time."""
    try:
        done = subprocess.run(  # noqa: S603  # fixed words, no shell
            words,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            timeout=_WAIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
