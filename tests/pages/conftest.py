"""A model with a past: columns with names that want to break a page, checks over six weeks."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlkit.flows import report
from mlkit.flows.report import Report
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
    frame = pd.DataFrame(
        {
            "at": pd.date_range("2026-01-01", periods=rows, freq="7min", tz="UTC"),
            EVIL: age,
            LONG: rng.integers(0, 500, rows),
            'a & "b"': rng.lognormal(0, 3, rows),
            "猫🐈 <i>": kind,
            "many": many,
            "few": rng.integers(1, 8, rows),
            "flag": rng.random(rows) < 0.3,
            "when": pd.to_datetime("2026-03-01", utc=True)
            + pd.to_timedelta(rng.integers(0, 86_400 * 20, rows), unit="s"),
            "constant": np.ones(rows),
        }
    )
    frame["target"] = np.where(rng.random(rows) < 1 / (1 + np.exp(-score)), *CLASSES)
    lost = rng.random(rows) < (0.4 if moved else 0.05)
    frame.loc[lost, 'a & "b"'] = np.nan
    return frame


def log_rows(project: Project, frame: pd.DataFrame, *, known: float = 1.0) -> None:
    """Log the champion's answers to ``frame`` over the last day, and what really happened."""
    from mlkit.flows import actuals, deploy
    from mlkit.steps import encode
    from mlkit.store import predictions
    from mlkit.store.base import new_ids
    from mlkit.store.journal import Entry

    loaded = deploy.load_version(project, deploy.find_version(project, "hostile"))
    texts = frame.assign(when=frame["when"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")).astype(object)
    rows = texts.where(frame.notna(), None).to_dict("records")
    columns = encode.columns_of_rows(loaded.schema, rows)
    labels, probabilities = loaded.predictor.predict(encode.matrix(loaded.schema, columns))
    assert probabilities is not None
    start, entries = project.now() - timedelta(hours=23), []
    for place, features in enumerate(zip(*columns, strict=True)):
        at = start + timedelta(hours=22) * place / len(frame)
        own_id, identifier = new_ids(at, 2)
        entries.append(
            Entry(
                request_id=own_id, model_id=loaded.model_id, version_id=loaded.version_id,
                version=loaded.version, role="champion", latency_us=100,
                served_us=int(at.timestamp() * 1e6), ids=[identifier],
                entities=[None], features=[features], values=[labels[place]],
                probabilities=[probabilities[place].tolist()],
            )
        )  # fmt: skip
    with project.write() as s:
        predictions.add(s, entries)
    truths = zip(entries, frame["target"].tolist(), strict=True)
    items = [actuals.ActualItem(entry.ids[0], truth) for entry, truth in truths]
    actuals.add(project, items[: round(known * len(items))])


def live(root: Path) -> None:
    """Let a project be born, answer, be checked every sixth day, and drift at the end."""
    from mlkit.flows import deploy, ingest, monitor, train

    start = pd.Timestamp("2026-03-20T08:00:00Z").to_pydatetime()
    clock = root / "clock"
    clock.write_text(start.isoformat())
    (root / "mlkit.toml").touch()
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
        log_rows(made, make_hostile(rows, day, moved=day > 30), known=0.9 if day < 30 else 0.6)
        monitor.check_drift(made, "hostile")
        monitor.check_performance(made, "hostile", window="1d")
    made.close()


@pytest.fixture(scope="session")
def alive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project that ``live`` leaves, at its last moment; to look at, not to change."""
    root = tmp_path_factory.mktemp("alive")
    live(root)
    made = open_project(root, environment={"MLKIT_CLOCK": str(root / "clock")})
    yield made
    made.close()


@pytest.fixture(scope="session")
def found(alive: Project) -> Report:
    """What is known of its model."""
    return report.read(alive, "hostile")
