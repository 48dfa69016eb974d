"""The timetable as crontab lines and systemd units.

Both call ``mlkit job run``; a slot that two schedulers start runs once. Installs nothing.
"""

import hashlib
import os
import pwd
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from cronsim import CronSim

from mlkit import names
from mlkit.errors import InvalidInputError
from mlkit.project import Project
from mlkit.scheduling import background
from mlkit.timetable import Job

_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NEEDS_QUOTES = re.compile(r"[^\w@:./+,=-]", re.ASCII)
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  # compared with, not written to

_CRONTAB_HEAD = """\
# mlkit jobs of {root}; install with: mlkit job crontab --install
# Times are UTC. Debian's and Ubuntu's cron ignores CRON_TZ: there, use this only on a machine
# whose time zone is UTC (now: {zone}), or take `mlkit job systemd` or `mlkit daemon`.
CRON_TZ=UTC
"""

_SERVICE = """\
[Unit]
Description={description}
After=local-fs.target network.target

[Service]
Type={kind}
ExecStart={command}
WorkingDirectory={root}
User={user}
{group}EnvironmentFile=-{environment}
{extra}ReadWritePaths={writable}
ProtectSystem=strict
ProtectHome=read-only
{temporary}
PrivateDevices=yes
PrivateMounts=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
LimitCORE=0
OOMPolicy=continue
{install}"""

_RELOAD = "ExecReload=/bin/kill -HUP $MAINPID\n"  # new workers first, then the old ones end

_ALWAYS_ON = """\
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2 4
TimeoutStopSec={stop_s}
"""

_INSTALL = """
[Install]
WantedBy=multi-user.target
"""

_TIMER = """\
[Unit]
Description=When {description}

[Timer]
OnCalendar={calendar}
Persistent=true
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def crontab(project: Project, jobs: Sequence[Job]) -> str:
    """Return the lines for ``crontab``; slots missed in a downtime are run after the reboot."""
    names.check_folder(project.root)
    zone = datetime.now().astimezone().tzname()  # the machine's zone, for the comment
    lines = [f"{job.at} {_cron_command(project, 'job', 'run', job.name, '--due', 'slot')}"
             for job in jobs]  # fmt: skip
    lines.append(f"@reboot {_cron_command(project, 'job', 'run', '--missed')}")
    return _CRONTAB_HEAD.format(root=project.root, zone=zone) + "\n".join(lines) + "\n"


def systemd(project: Project, jobs: Sequence[Job]) -> dict[str, str]:
    """Return unit file names and texts: a service and a timer per job, the server, the daemon.

    Raises InvalidInputError if a path cannot be written in a unit file.
    """
    for path in (str(project.root), sys.executable):
        if re.search(r"[\x00-\x1f\x7f\"\\]|\s\Z", path):
            raise InvalidInputError(f"unit files cannot hold the path {path!r}; move it")
    prefix = _prefix(project.root)
    units = {
        f"{prefix}-serve.service": _long_running(project, "server", "serve", extra=_RELOAD),
        f"{prefix}-daemon.service": _long_running(project, "daemon", "daemon"),
    }
    for job in jobs:
        what = f"mlkit job {job.name} of {project.root}"
        units[f"{prefix}-{job.name}.service"] = _one_shot(project, job, what)
        units[f"{prefix}-{job.name}.timer"] = _TIMER.format(
            description=_literal(what), calendar=calendar(job)
        )
    return units


def _prefix(root: Path) -> str:
    """Return the prefix of a project's unit names, unique for the folder's name.

    >>> _prefix(Path("/srv/shop")), _prefix(Path("/srv/my shop"))
    ('mlkit-shop', 'mlkit-my-shop-21e02318')
    """
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", root.name)
    if plain == root.name:
        return f"mlkit-{plain}"
    return f"mlkit-{plain}-{hashlib.sha256(os.fsencode(root.name)).hexdigest()[:8]}"


def write(units: Mapping[str, str], folder: Path) -> None:
    """Write the unit files, readable for systemd."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in units.items():
        file = folder / name
        file.write_text(text)
        file.chmod(0o644)


def calendar(job: Job) -> str:
    """Return the job's times in the format of systemd.time(7).

    >>> calendar(Job("drift", run=str, at="*/30 2 * * MON-WED"))
    'Mon,Tue,Wed *-*-* 02:00,30:00 UTC'
    """
    times = CronSim(job.at, datetime(2000, 1, 1))  # noqa: DTZ001  # only its parsed fields are read
    days = sorted({_WEEKDAYS[int(str(day))] for day in times.weekdays}, key=_WEEKDAYS[1:].index)
    weekdays = "" if len(days) == 7 else ",".join(days) + " "
    month = _field(times.months, full=12)
    day = _field(times.days, full=31)
    hour, minute = _field(times.hours, full=24), _field(times.minutes, full=60)
    return f"{weekdays}*-{month}-{day} {hour}:{minute}:00 UTC"


def _field(values: set[int], *, full: int) -> str:
    return "*" if len(values) == full else ",".join(f"{value:02}" for value in sorted(values))


def _words(project: Project, *words: str) -> list[str]:
    return [sys.executable, "-m", "mlkit", "--project", str(project.root), *words]


def _literal(text: str) -> str:
    """Return ``text`` with % escaped, which begins a specifier in a unit file."""
    return text.replace("%", "%%")


def _quoted(text: str, *, command: bool = False) -> str:
    """Return ``text`` as one word of a list in a unit file; in a command $ is escaped too."""
    literal = _literal(text)
    return (
        '"' + (literal.replace("$", "$$") if command else literal) + '"'
        if _NEEDS_QUOTES.search(text)
        else text
    )


def _pattern(path: Path) -> str:
    """Return a path, escaped for a setting in which systemd expects a glob pattern."""
    return _literal(re.sub(r"([*?\[])", r"\\\1", str(path)))


def _cron_command(project: Project, *words: str) -> str:
    """Return a command for cron's shell, without output unless it fails; % is escaped."""
    return shlex.join(_words(project, *words)).replace("%", r"\%") + " >/dev/null"


def _one_shot(project: Project, job: Job, what: str) -> str:
    limits = project.settings.jobs
    timeout_s = int(limits.deadline_s + limits.grace_s) + 120
    return _service(
        project,
        _words(project, "job", "run", job.name, "--due", "slot"),
        description=what,
        kind="oneshot",
        extra=f"TimeoutStartSec={timeout_s}\nNice={background.NICENESS}\nCPUWeight=20\n",
    )


def _long_running(project: Project, noun: str, word: str, *, extra: str = "") -> str:
    stop_s = int(project.settings.jobs.grace_s) + 30
    return _service(
        project,
        _words(project, word),
        description=f"mlkit {noun} of {project.root}",
        kind="exec",
        extra=extra + _ALWAYS_ON.format(stop_s=stop_s),
        install=_INSTALL,
    )


def _group(project: Project) -> str:
    if not project.settings.project.group:
        return "UMask=0077\n"
    return f"Group={project.root.stat().st_gid}\nUMask=0007\n"


def _service(
    project: Project,
    command: Sequence[str],
    *,
    description: str,
    kind: str,
    extra: str,
    install: str = "",
) -> str:
    root = project.root
    hidden = any(root.is_relative_to(folder) for folder in _TEMPORARY)
    return _SERVICE.format(
        description=_literal(description),
        kind=kind,
        command=" ".join(_quoted(word, command=True) for word in command),
        root=_literal(str(root)),
        writable=_quoted(str(root)),
        environment=_pattern(project.environment_file),
        group=_group(project),
        user=pwd.getpwuid(root.stat().st_uid).pw_name,
        extra=extra,
        # a private /tmp would hide a project in it
        temporary="ReadWritePaths=/tmp /var/tmp" if hidden else "PrivateTmp=yes",
        install=install,
    )
