"""Secrets in ``.mlkit/env`` reach whatever a clock starts."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from mlkit import environment_file, timetable
from mlkit.errors import InvalidInputError
from mlkit.project import Project
from mlkit.scheduling import units

JOB = """
import os
from mlkit.timetable import Job

def run(project):
    return f"the password has {len(os.environ['SHOP_PASSWORD'])} letters"

TIMETABLE = (Job("pull", run=run, at="0 0 1 1 *"),)
"""


def _file(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "env"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_variables_are_added_and_those_that_are_set_stay(tmp_path: Path) -> None:
    found = {"B": "mine"}
    text = "# c\n\nA='x y'\nexport B=2\nC=\"$A\"\n"
    environment_file.load(_file(tmp_path, text), found)
    assert found == {"A": "x y", "B": "mine", "C": "$A"}
    environment_file.load(tmp_path / "none", found)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InvalidInputError, match=r"other users may use .*env, which holds secrets"):
        environment_file.load(_file(tmp_path, "A=1", mode), {})


def test_a_group_that_shares_the_project_shares_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    found: dict[str, str] = {}
    environment_file.load(_file(tmp_path, "A=1", 0o660), found)
    assert found == {"A": "1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    file = _file(tmp_path, "A=1")
    os.chown(file, 20_001, -1)
    with pytest.raises(InvalidInputError, match="belongs to another user"):
        environment_file.load(file, {})


def test_a_line_that_sets_nothing_is_named_without_what_it_says(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"line 2 of .*env is not of the form") as caught:
        environment_file.load(_file(tmp_path, "A=1\nsecret words\n"), {})
    assert "secret words" not in str(caught.value)


def test_the_line_of_a_crontab_runs_with_the_secrets_of_the_project(project: Project) -> None:
    (project.root / "jobs").mkdir(exist_ok=True)
    (project.root / "jobs" / "__init__.py").write_text(JOB)
    _file(project.state_dir, "SHOP_PASSWORD=abcdefg\n")
    (line, *_) = [line for line in units.crontab(project, timetable.load(project)).splitlines()
                  if " job run pull " in line]  # fmt: skip
    command = line.split(maxsplit=5)[5].replace(r"\%", "%").removesuffix(" >/dev/null")
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/", "LOGNAME": "root"}, cwd="/",
    )  # fmt: skip
    assert "pull ok: the password has 7 letters" in done.stdout, done.stderr
    assert shlex.split(command)[1:3] == ["-m", "mlkit"]
