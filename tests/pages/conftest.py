"""A model with a past: columns with names that want to break a page, checks over six weeks."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlkit.flows.monitoring import report
from mlkit.flows.monitoring.report import ModelReport
from mlkit.project import Project, create_project, open_project

EVIL = "<script>alert('x')</script>"
LONG = "a_name_without_an_end_" * 12
BIDI = "\u202egnp.exe 猫🐈"
CLASSES = ("<b>yes</b>", "no\"'&")


def make_hostile(rows: int, seed: int, *, moved: bool = False) -> pd.DataFrame:
    """Return rows of every kind of column; ``moved`` ones have drifted and lost values."""
    rng = np.random.default_rng(seed)
    shift = 1.5 if moved else 0.0
    age = rng.normal(40 + 8 * shift, 10, rows)
    many = np.char.add("label ", (rng.pareto(1.0, rows) * 20).astype(int).astype(str))
    kind = rng.choice([EVIL, "x" * 300, BIDI, "plain", ""], rows, p=[0.4, 0.2, 0.2, 0.15, 0.05])
    score = (age - 40) / 8 + (kind == "plain") - 8 * 0.5 * shift / 4
    at = pd.date_range("2026-01-01", periods=rows, freq="7min", tz="UTC")
    frame = pd.DataFrame(
        {
            "at": at,
            EVIL: age,
            LONG: rng.integers(0, 500, rows),
            'a & "b"': rng.lognormal(0, 3, rows),
            "猫🐈 <i>": kind,
            "many": many,
            "few": rng.integers(1, 8, rows),
            "flag": rng.random(rows) < 0.3,
            "when": at - pd.to_timedelta(rng.integers(0, 86_400 * 20, rows), unit="s"),
            "constant": np.ones(rows),
        }
    )
    frame["target"] = np.where(rng.random(rows) < 1 / (1 + np.exp(-score)), *CLASSES)
    lost = rng.random(rows) < (0.4 if moved else 0.05)
    frame.loc[lost, 'a & "b"'] = np.nan
    return frame


def live(root: Path, answer: Callable[..., None]) -> None:
    """Let a project be born, answer, be checked every sixth day, and drift at the end."""
    from mlkit.flows.data import ingest
    from mlkit.flows.monitoring import monitor
    from mlkit.flows.registry import deploy
    from mlkit.flows.training import train

    start = pd.Timestamp("2026-03-20T08:00:00Z").to_pydatetime()
    clock = root / "clock"
    clock.write_text(start.isoformat())
    (root / "mlkit.toml").write_text('[performance]\nwindow = "1d"\n')
    made = create_project(root, environment={"MLKIT_CLOCK": str(clock)})
    make_hostile(1500, 0).to_parquet(root / "rows.parquet", index=False)
    ingest.add(made, "hostile", root / "rows.parquet", target="target", time="at")
    train.train(made, "hostile", "hostile", estimator="linear", promote=True, reason="the first")
    for day in range(2, 39, 6):
        clock.write_text((start + timedelta(days=day)).isoformat())
        if day == 20:
            train.train(made, "hostile", "hostile", estimator="linear")
            deploy.promote(made, "hostile", 2, reason=f"because {EVIL}", force=True)
        rows = 80 if day == 14 else 400
        asked = make_hostile(rows, day, moved=day > 30)
        first = pd.Timestamp(start + timedelta(days=day, hours=-23))
        served = first + pd.to_timedelta(np.arange(rows) * 79_200 / rows, unit="s")
        when = served + (asked["when"] - asked["at"])  # as long ago as in training
        asked = asked.assign(when=when.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        answer(
            made, asked, model="hostile", age=timedelta(hours=23), step_s=79_200 / rows,
            known=0.9 if day < 30 else 0.6,
        )  # fmt: skip
        monitor.check_drift(made, "hostile")
        monitor.check_performance(made, "hostile")
    made.close()


@pytest.fixture(scope="session")
def alive(
    tmp_path_factory: pytest.TempPathFactory, answer: Callable[..., None]
) -> Iterator[Project]:
    """The project that ``live`` leaves, at its last moment; to look at, not to change."""
    root = tmp_path_factory.mktemp("alive")
    live(root, answer)
    made = open_project(root, environment={"MLKIT_CLOCK": str(root / "clock")})
    yield made
    made.close()


@pytest.fixture(scope="session")
def found(alive: Project) -> ModelReport:
    """What is known of its model."""
    return report.read(alive, "hostile")
