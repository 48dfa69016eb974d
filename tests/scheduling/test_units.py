"""What is rendered for cron and systemd means the same slots and passes their own checks."""

import glob
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlkit import timetable
from mlkit.errors import InvalidInputError
from mlkit.project import Project, create_project
from mlkit.scheduling import units
from mlkit.timetable import Job

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze"
)

RANGES = ((0, 59), (0, 23), (1, 31), (1, 12))
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def nothing(_project: Project) -> str:
    return "done"


JOBS = tuple(
    Job(f"job{number}", run=nothing, at=at)
    for number, at in enumerate(
        (
            "5 1 * * *",
            "*/7 * * * *",
            "0,30 8-18/2 * * MON-FRI",
            "15 3 1,15 * *",
            "59 23 31 12 *",
            "0 0 29 2 *",
            "10 4 * 1-3 SUN",
            "0 12 * * SAT,SUN,WED",
        )
    )
)


def _numbers(text: str, low: int, high: int) -> set[int]:
    """Read one number field as crontab(5) describes it."""
    values: set[int] = set()
    for term in text.split(","):
        span, _, step = term.partition("/")
        first, last = (
            (low, high) if span == "*" else tuple(int(n) for n in (span.split("-") * 2)[:2])
        )
        assert low <= first <= last <= high, text
        values |= set(range(first, last + 1, int(step or 1)))
    return values


def _parse(crontab: str) -> list[tuple[list[str] | None, str]]:
    """Read a crontab as cron does: settings, comments, five fields or @reboot, then a command."""
    entries: list[tuple[list[str] | None, str]] = []
    for line in crontab.splitlines():
        if not line or line.startswith("#") or re.match(r"\w+\s*=", line):
            continue
        if line.startswith("@"):
            word, command = line.split(maxsplit=1)
            assert word == "@reboot"
            entries.append((None, command))
            continue
        *fields, command = line.split(maxsplit=5)
        for field, (low, high) in zip(fields[:4], RANGES, strict=True):
            assert _numbers(field, low, high)
        assert all(day in DAYS for day in re.findall("[A-Z]+", fields[4]))
        entries.append((fields, command))
    assert crontab.endswith("\n"), "cron ignores a last line without a newline"
    return entries


def _run_by_cron(command: str) -> list[str]:
    """Return the words that reach the program: cron cuts at %, then /bin/sh splits."""
    assert not re.search(r"(?<!\\)%", command)
    command = command.replace(r"\%", "%").replace(sys.executable, "printf '%s\\n'")
    command = command.removesuffix(" >/dev/null")
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_every_crontab_line_is_a_slot_of_its_job_and_its_command(project: Project) -> None:
    *lines, reboot = _parse(units.crontab(project, JOBS))
    for job, (fields, command) in zip(JOBS, lines, strict=True):
        assert " ".join(fields or []) == job.at
        assert shlex.split(command)[:4] == [sys.executable, "-m", "mlkit", "--project"]
        assert command.endswith(f"job run {job.name} --due slot >/dev/null")
    assert reboot[0] is None
    assert "job run --missed" in reboot[1]


def test_a_crontab_survives_odd_folder_names(tmp_path: Path) -> None:
    project = _project(tmp_path / "50% of 'my' $HOME")
    root = project.root
    (entry, _) = _parse(units.crontab(project, JOBS[:1]))
    words = _run_by_cron(entry[1])
    assert words == ["-m", "mlkit", "--project", str(root), "job", "run", "job0", "--due", "slot"]
    project.close()


def _project(root: Path) -> Project:
    root.mkdir()
    (root / "mlkit.toml").touch()
    return create_project(root, environment={})


@needs_systemd
def test_systemd_reads_an_odd_folder_name_as_it_is(tmp_path: Path) -> None:
    project = _project(tmp_path / "50% of 'my' $HOME; [a]*?#")
    root = project.root
    folder = tmp_path / "units"
    units.write(units.systemd(project, JOBS[:1]), folder)
    (file,) = folder.glob("*-serve.service")
    read = _as_systemd_reads(file)
    words = [sys.executable, "-m", "mlkit", "--project", str(root).replace("$", "$$"), "serve"]
    command = re.search(r"Command Line: (.*)", read)
    assert command
    assert shlex.split(command[1].replace("\\$", "$")) == words
    assert f"WorkingDirectory: {root}\n" in read
    assert f"Description: mlkit server of {root}\n" in read
    assert f"ReadWritePaths: {root} " in read
    (pattern,) = re.findall("EnvironmentFile: -(.*)\n", read)
    project.environment_file.write_text("A=1")
    assert glob.glob(re.sub(r"\\(.)", r"[\1]", pattern)) == [str(project.environment_file)]  # noqa: PTH207
    project.close()


def _as_systemd_reads(file: Path) -> str:
    """Return what systemd makes of a unit file."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file],
        capture_output=True, text=True, check=True,
        env={"SYSTEMD_LOG_LEVEL": "debug", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "end "])
def test_a_folder_that_unit_files_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    project = _project(tmp_path / name)
    with pytest.raises(InvalidInputError, match="unit files cannot hold the path"):
        units.systemd(project, JOBS)
    project.close()


def test_units_of_folders_that_are_named_alike_do_not_replace_each_other(tmp_path: Path) -> None:
    projects = [_project(tmp_path / name) for name in ("my shop", "my-shop", "my+shop")]
    names = [set(units.systemd(project, JOBS[:1])) for project in projects]
    assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]
    for project in projects:
        project.close()


def test_the_secrets_of_the_project_reach_the_units(project: Project) -> None:
    for name, text in units.systemd(project, JOBS[:1]).items():
        if name.endswith(".service"):
            assert f"EnvironmentFile=-{project.root}/.mlkit/env\n" in text


@needs_systemd
def test_systemd_reads_the_same_slots() -> None:
    start = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
    command = ["systemd-analyze", "calendar", "--iterations=4", "--base-time=2026-02-03 04:05 UTC"]
    done = subprocess.run(
        [*command, *map(units.calendar, JOBS)],
        capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    for job, block in zip(JOBS, done.stdout.split("\n\n"), strict=True):
        read = re.findall(r"(?:elapse|Iter\S* #\d+): \w+ (\S+ \S+) UTC", block)
        slot = start
        for text in read:
            slot = job.next_after(slot)
            assert datetime.fromisoformat(text + "+00:00") == slot, job.at
        assert len(read) == 4


@needs_systemd
def test_the_units_pass_systemd_analyze_verify(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "units"
    rendered = units.systemd(project, JOBS)
    units.write(rendered, folder)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(folder / name) for name in rendered)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "mlkit" in line]
    assert (done.returncode, ours) == (0, [])


def test_units_are_absolute_persistent_hardened_and_named_after_the_project(
    project: Project,
) -> None:
    rendered = units.systemd(project, JOBS[:1])
    assert set(rendered) == {
        f"mlkit-project-{rest}"
        for rest in ("serve.service", "daemon.service", "job0.service", "job0.timer")
    }
    assert "Persistent=true" in rendered["mlkit-project-job0.timer"]
    for name, text in rendered.items():
        if name.endswith(".service"):
            (command,) = re.findall("^ExecStart=(.*)$", text, re.M)
            assert command.startswith("/")
            assert f"--project {project.root}" in command
            assert f"ReadWritePaths={project.root}" in text
            assert "NoNewPrivileges=yes" in text


def test_the_shipped_timetable_can_be_rendered(project: Project) -> None:
    root = Path(__file__).parents[2]
    (project.root / "jobs").symlink_to(root / "jobs")
    jobs = timetable.load(project)
    assert len(_parse(units.crontab(project, jobs))) == len(jobs) + 1
    assert len(units.systemd(project, jobs)) == 2 * len(jobs) + 2


@needs_systemd
def test_what_runs_for_long_is_hardened(project: Project, tmp_path: Path) -> None:
    for name, text in units.systemd(project, []).items():
        file = tmp_path / name
        file.write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", file],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
        assert found, done.stdout + done.stderr
        assert float(found[1]) <= 2.5


def test_the_server_is_told_to_take_over_settings_by_a_signal(project: Project) -> None:
    rendered = units.systemd(project, [])
    reloads = [name for name, text in rendered.items() if "ExecReload=/bin/kill -HUP" in text]
    assert [name.endswith("-serve.service") for name in reloads] == [True]
