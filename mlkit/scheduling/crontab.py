"""The user's crontab: put a project's lines into it, between two marks, and touch no other line."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from mlkit.errors import MlkitError

_OWN_ZONE = '""'  # the machine's own; a line without a value is a faulty job to Debian's cron
_WAIT_S = 30
_ZONE = re.compile(r"\s*CRON_TZ\s*=\s*(.*?)\s*$")


def merge(existing: str, root: Path, lines: str) -> str:
    """Return ``existing`` with ``lines`` at its end, instead of those that it has of ``root``.

    Their ``CRON_TZ`` would count for all lines below them: behind them it is what it was before.
    """
    first, last = _marks(root)
    kept = remove(existing, root).split("\n")
    if not kept[-1]:
        kept.pop()  # behind the last line
    zone = next((found[1] for line in reversed(kept) if (found := _ZONE.match(line))), _OWN_ZONE)
    return "\n".join([*kept, first, lines.rstrip("\n"), f"CRON_TZ={zone}", last]) + "\n"


def remove(existing: str, root: Path) -> str:
    """Return ``existing`` without the lines of ``root``; all others stay as they are.

    Raises MlkitError if the mark at their end is gone: what is below may be the user's own.
    """
    first, last = _marks(root)
    kept: list[str] = []
    inside = False
    for line in existing.split("\n"):  # no other character ends a line of cron's
        inside = inside or line == first
        if not inside:
            kept.append(line)
        inside = inside and line != last
    if inside:
        raise MlkitError(
            f"your crontab has the line {first!r} and none {last!r} below it; put that behind the "
            "lines of the project, or take them out: crontab -e"
        )
    return "\n".join(kept)


def install(root: Path, lines: str) -> None:
    """Make ``lines`` the part of ``root`` in the user's crontab; raises MlkitError if it cannot."""
    _write(merge(_read(), root, lines))


def uninstall(root: Path) -> bool:
    """Take the part of ``root`` out of the user's crontab; tell whether there was one.

    Raises MlkitError if the crontab cannot be read or written.
    """
    existing = _read()
    left = remove(existing, root)
    if left != existing:
        _write(left)
    return left != existing


def _marks(root: Path) -> tuple[str, str]:
    return f"# >>> mlkit {root}", f"# <<< mlkit {root}"


def _program() -> str:
    program = shutil.which("crontab")
    if program is None:
        raise MlkitError(
            "this machine has no crontab command; install cron, or take `mlkit job systemd` or "
            "`mlkit daemon`"
        )
    return program


def _read() -> str:
    listed = _call([_program(), "-l"])
    if listed.returncode and listed.stderr and "no crontab" not in listed.stderr:
        raise MlkitError(f"cannot read the crontab: {listed.stderr.strip()}")
    return "" if listed.returncode else listed.stdout


def _write(text: str) -> None:
    written = _call([_program(), "-"], text)
    if written.returncode:
        raise MlkitError(f"cron refused the crontab: {written.stderr.strip()}")


def _call(words: list[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program; any bytes that a crontab holds come back and go as they are."""
    try:
        done = subprocess.run(  # noqa: S603  # the program is the one on the user's path
            words,
            input=None if given is None else os.fsencode(given),
            capture_output=True,
            timeout=_WAIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MlkitError(f"cannot call {words[0]}: {error}; try it by hand: crontab -l") from error
    return subprocess.CompletedProcess(
        words, done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr)
    )
