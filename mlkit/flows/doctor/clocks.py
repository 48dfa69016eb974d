"""Check what starts the jobs: the daemon, cron or systemd, and whether it runs at all."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mlkit.flows.doctor.findings import Finding, ok, warn
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
_WAIT_S = 5


def clocks(project: Project) -> Iterator[Finding]:
    """Name what starts the jobs of this project: one clock is right, and it has to run."""
    running: list[str] = []
    standing: list[tuple[str, str]] = []
    for name, ticks, cure in _clocks(project):
        if ticks:
            running.append(name)
        else:
            standing.append((name, cure))
    if len(running) == 1:
        yield ok(f"{running[0]} runs the jobs")
    elif running:
        yield warn(
            f"{' and '.join(running)} run the jobs; each due time still runs once",
            "keep one of them",
        )
    for name, cure in [] if running else standing:
        yield warn(f"{name} has the jobs of this project but does not run", cure)
    if not running and not standing:
        yield warn(
            "nothing seen that runs the jobs",
            "choose one: mlkit job crontab --install, mlkit job systemd, or mlkit daemon",
        )


def _clocks(project: Project) -> Iterator[tuple[str, bool, str]]:
    """Yield each clock that has the jobs, whether it ticks, and how it is started."""
    lock = project.state_dir / "locks" / "daemon"
    if lock.exists() and locks.is_held(lock):
        yield "the daemon", True, ""
    if _in_crontab(project.root):
        yield "cron", cron_runs(), "start cron (for example: sudo service cron start)"
    for own, timers in ((False, _timers(project.root, _UNIT_FOLDERS)),
                        (True, _timers(project.root, (_USER_UNITS.expanduser(),)))):  # fmt: skip
        if timers:
            user = "--user " if own else ""
            cure = f"systemctl {user}enable --now {' '.join(timers)}"
            yield "systemd timers", _active(timers, own=own), cure


def cron_runs(processes: Path = Path("/proc")) -> bool:
    """Tell whether a cron daemon runs on this machine (in this container)."""
    for comm in processes.glob("[0-9]*/comm"):
        with suppress(OSError):  # it ended a moment ago
            if comm.read_text().strip() in _CRONS:
                return True
    return any(_lives(file) for file in _CRON_PIDS)  # of others, where /proc hides their processes


def _lives(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except PermissionError:
        return True  # root's
    except (OSError, ValueError):
        return False
    return True


def _in_crontab(root: Path) -> bool:
    program = shutil.which("crontab")
    if program is None:
        return False
    lines = [
        line for line in _said(program, "-l").splitlines() if not line.lstrip().startswith("#")
    ]
    word = shlex.quote(str(root)).replace("%", r"\%")
    return any(f"{word} job run " in line for line in lines)


def _timers(root: Path, folders: tuple[Path, ...]) -> list[str]:
    """Return the names of the timers of the project, by its name in their description."""
    end = f" of {root}\n".replace("%", "%%")
    return sorted(
        timer.name
        for folder in folders
        for timer in folder.glob("mlkit-*.timer")
        if end in _text(timer)
    )


def _text(file: Path) -> str:
    """Return what a unit of anybody says; nothing if it cannot be read."""
    with suppress(OSError):
        return file.read_text(errors="surrogateescape")
    return ""


def _active(timers: list[str], *, own: bool) -> bool:
    """Tell whether systemd runs here and waits for any of the timers."""
    program = shutil.which("systemctl")
    if program is None or not _SYSTEMD.is_dir():
        return False
    words = [program, *(["--user"] if own else []), "is-active", *timers]
    return "active" in _said(*words).split()


def _said(*words: str) -> str:
    """Return what a program prints; nothing if it does not come to an end."""
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
