"""Install a project's lines in the user's crontab, between two marks, and leave all others."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from mlkit.errors import MlkitError

_OWN_ZONE = '""'  # the machine's zone; Debian's cron takes a line without a value for a bad job
_WAIT_S = 30
_ZONE = re.compile(r"\s*CRON_TZ\s*=\s*(.*?)\s*$")


def merge(existing: str, root: Path, lines: str) -> str:
    """Return ``existing`` with ``lines`` of ``root`` at its end, replacing those that it has.

    ``CRON_TZ`` applies to all lines below it, so it is restored behind them.
    """
    first, last = _marks(root)
    kept = remove(existing, root).split("\n")
    if not kept[-1]:
        kept.pop()  # the text ended with a line break
    zone = next((found[1] for line in reversed(kept) if (found := _ZONE.match(line))), _OWN_ZONE)
    return "\n".join([*kept, first, lines.rstrip("\n"), f"CRON_TZ={zone}", last]) + "\n"


def remove(existing: str, root: Path) -> str:
    """Return ``existing`` without the lines of ``root``; all others stay unchanged.

    Raises MlkitError if the end mark is missing: the lines below may be the user's own.
    """
    first, last = _marks(root)
    kept: list[str] = []
    inside = False
    for line in existing.split("\n"):  # cron knows no other line break
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
    """Put ``lines`` of ``root`` into the user's crontab; raises MlkitError if that fails."""
    _write(merge(_read(), root, lines))


def uninstall(root: Path) -> bool:
    """Remove the lines of ``root`` from the user's crontab; tell whether there were any.

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


def _call(words: list[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program; bytes of a crontab that are not UTF-8 are preserved (surrogateescape)."""
    try:
        done = subprocess.run(  # noqa: S603  # the program is the one on the user's path
            words,
            input=None if stdin is None else os.fsencode(stdin),
            capture_output=True,
            timeout=_WAIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MlkitError(f"cannot call {words[0]}: {error}; try it by hand: crontab -l") from error
    return subprocess.CompletedProcess(
        words, done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr)
    )
