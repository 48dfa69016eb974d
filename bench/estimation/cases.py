"""Write models' answers on a holdout and on windows: ``cases.py FOLDER SEED...``.

A window is drawn as the holdout was, or with inputs, base rate or relation moved.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB

TRAINING, HOLDOUT, SIZES, WINDOWS = 8_000, 2_000, (500, 2_000, 8_000), 2
SHIFTS = ("nothing", "two inputs", "one strong input", "base rate", "relation")
FEATURES = 6
EFFECTS = np.array([1.2, -0.8, 1.0, 0.6])
_POOL = 8


class Drawn(NamedTuple):
    """Inputs and what really was."""

    x: np.ndarray
    y: np.ndarray


def draw(task: str, x: np.ndarray, rng: np.random.Generator, effects: np.ndarray) -> Drawn:
    """Return rows with a target that hangs on four inputs, two of them together."""
    parts = np.column_stack([x[:, 0], x[:, 1], x[:, 2] * x[:, 3], x[:, 4] ** 2 - 1])
    score = parts @ effects - 0.5
    if task == "classification":
        return Drawn(x, (rng.random(len(x)) < 1 / (1 + np.exp(-score))).astype(float))
    noise = 0.5 + np.abs(x[:, 0]) + (x[:, 5] > 0.5)
    return Drawn(x, 2 * score + noise * rng.normal(size=len(x)))


def window(task: str, shift: str, rows: int, rng: np.random.Generator) -> Drawn:
    """Return the rows of a window."""
    effects, x = EFFECTS, rng.normal(size=(rows, FEATURES))
    if shift == "two inputs":
        moved = rng.choice(FEATURES, 2, replace=False)
        x[:, moved] += rng.choice([-1, 1], 2) * rng.uniform(0.4, 1.0, 2)
        x[:, rng.integers(FEATURES)] *= rng.uniform(0.6, 1.4)
    if shift == "one strong input":
        x[:, 0] += rng.choice([-1, 1]) * rng.uniform(0.3, 0.8)
    if shift == "relation":  # one of the effects goes, or turns round
        effects = EFFECTS.copy()
        effects[rng.integers(len(effects))] *= rng.choice([-1, 0])
    if shift != "base rate":
        return draw(task, x, rng, effects)
    pool = draw(task, rng.normal(size=(_POOL * rows, FEATURES)), rng, effects)
    weights = _weights(task, pool.y, rng)
    chosen = rng.choice(len(pool.y), rows, replace=False, p=weights / weights.sum())
    return Drawn(pool.x[chosen], pool.y[chosen])


def _weights(task: str, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if task == "classification":
        return np.where(y == 1, rng.choice([0.4, 0.6, 1.7, 2.5]), 1.0)
    return 1 / (1 + np.exp(-rng.choice([-1, 1]) * 2 * (y - y.mean()) / y.std()))


def models(task: str, known: Drawn, seed: int) -> dict[str, Any]:
    """Return fitted models: a good one, ones that cannot see it all, and an overconfident one."""
    few = Drawn(known.x[:2_000], known.y[:2_000])
    if task == "classification":
        eager = HistGradientBoostingClassifier(
            max_iter=300, learning_rate=0.2, early_stopping=False, random_state=seed
        )
        return {
            "good": HistGradientBoostingClassifier(random_state=seed).fit(*known),
            "misspecified (logistic regression)": LogisticRegression().fit(*known),
            "misspecified (naive Bayes)": GaussianNB().fit(*known),
            "badly calibrated (overfitted)": eager.fit(*few),
        }
    weak = HistGradientBoostingRegressor(max_iter=10, random_state=seed)
    return {
        "good": HistGradientBoostingRegressor(random_state=seed).fit(*known),
        "misspecified (linear)": LinearRegression().fit(*known),
        "weak (ten small trees)": weak.fit(*few),
    }


def answers(task: str, model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return what a model answers: the second class's probability, or the number."""
    if task == "classification":
        return lambda x: model.predict_proba(x)[:, 1]
    return model.predict  # type: ignore[no-any-return]  # scikit-learn has no types


def write(folder: Path, seed: int) -> None:
    """Write one file for each model: its holdout and its windows."""
    for task in ("classification", "regression"):
        rng = np.random.default_rng([seed, len(task)])
        known, holdout = (
            draw(task, rng.normal(size=(rows, FEATURES)), rng, EFFECTS)
            for rows in (TRAINING, HOLDOUT)
        )
        windows = {
            f"{shift}|{rows}|{number}": window(task, shift, rows, rng)
            for shift in SHIFTS for rows in SIZES for number in range(WINDOWS)
        }  # fmt: skip
        for place, (name, model) in enumerate(models(task, known, seed).items()):
            said = answers(task, model)
            arrays = {}
            for key, rows in {"holdout": holdout, **windows}.items():
                arrays[key] = np.column_stack([rows.x, said(rows.x), rows.y])
            file = folder / f"{task}-{seed}-{place}.npz"
            np.savez(file, task=np.array(task), model=np.array(name), **arrays)  # type: ignore[arg-type]  # numpy's stub


if __name__ == "__main__":
    for text in sys.argv[2:]:
        write(Path(sys.argv[1]), int(text))
