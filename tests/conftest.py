"""Fixtures shared by all tests: a real project, a real command line, a small real dataset."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mlkit.cli.root import cli as root_command
from mlkit.project import Project, create_project


class Cli:
    """Run commands of one project in this process, or in a real one."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *args: object, code: int = 0) -> Result:
        """Run ``mlkit ARGS`` and expect the exit code ``code``."""
        words = ["--project", str(self.root), *map(str, args)]
        result = CliRunner().invoke(root_command, words, prog_name="mlkit")
        assert result.exit_code == code, f"exit {result.exit_code}: {result.output}"
        return result

    def json(self, *args: object, code: int = 0) -> Any:
        """Run ``mlkit ARGS --json`` and return the document on stdout."""
        return json.loads(self(*args, "--json", code=code).stdout)

    def process(self, *args: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``mlkit ARGS`` as a process of its own."""
        words = [sys.executable, "-m", "mlkit", "--project", str(self.root), *map(str, args)]
        return subprocess.run(words, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A new, empty project."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "mlkit.toml").touch()
    made = create_project(root, environment={})
    yield made
    made.close()


@pytest.fixture
def cli(project: Project) -> Cli:
    """The command line of ``project``."""
    return Cli(project.root)


def make_churn(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Return a small table of mixed columns whose target ``churned`` depends on them."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows)
    plan = rng.choice(["free", "basic", "pro"], rows, p=[0.5, 0.3, 0.2])
    spend = np.round(rng.gamma(2.0, 20.0, rows), 2)
    active = rng.random(rows) < 0.7
    score = 0.05 * (45 - age) + 1.2 * (plan == "free") - 0.02 * spend - 1.0 * active
    churned = np.where(rng.random(rows) < 1 / (1 + np.exp(-score)), "yes", "no")
    since = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(rows), unit="h")
    frame = pd.DataFrame(
        {
            "since": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "age": age,
            "plan": plan,
            "spend": spend,
            "active": active,
            "churned": churned,
        }
    )
    frame.loc[frame.index % 17 == 3, "spend"] = np.nan
    return frame


@pytest.fixture
def churn() -> Callable[..., pd.DataFrame]:
    """``make_churn``, for tests that want other rows or seeds."""
    return make_churn


@pytest.fixture
def churn_csv(tmp_path: Path) -> Path:
    """400 rows of ``make_churn`` as a CSV file."""
    file = tmp_path / "churn.csv"
    make_churn().to_csv(file, index=False)
    return file
