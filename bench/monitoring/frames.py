"""Write the reference and the windows: ``frames.py FOLDER ROWS...``."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

REFERENCE = 100_000
NUMBERS, TEXTS = 20, 5
LABELS = np.array(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"])


def frame(rows: int, seed: int, *, shift: float = 0.0) -> pd.DataFrame:
    """Return rows of numbers of several shapes, the first two shifted, and of labels."""
    rng = np.random.default_rng(seed)
    shapes = (rng.normal, rng.exponential, rng.gumbel, rng.laplace)
    columns = {f"x{i}": shapes[i % len(shapes)](size=rows) for i in range(NUMBERS)}
    columns["x0"] += shift
    columns["x1"] *= 1 + shift
    labels = {f"c{i}": rng.choice(LABELS[: 2 + i], rows) for i in range(TEXTS)}
    return pd.DataFrame(columns | labels)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    frame(REFERENCE, 0).to_parquet(folder / "reference.parquet")
    for place, text in enumerate(sys.argv[2:], 1):
        frame(int(text), place, shift=0.1).to_parquet(folder / f"window-{text}.parquet")
