"""The models, trained through mlkit; the peers get the very same fitted estimators."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import environments

NAMES = ("logistic", "forest", "boosting", "mixed")
APPS = Path(__file__).resolve().parent / "apps"


class Model(NamedTuple):
    """A trained model: sample rows as JSON values and what scikit-learn says of them."""

    name: str
    columns: list[str]
    rows: list[list[Any]]
    expected: list[list[float]]
    folder: Path

    def objects(self, count: int) -> list[dict[str, Any]]:
        """Return ``count`` rows as objects."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.lists(count)]

    def lists(self, count: int) -> list[list[Any]]:
        """Return ``count`` rows as lists."""
        return [self.rows[i % len(self.rows)] for i in range(count)]


def make(work: Path, names: Sequence[str]) -> list[Model]:
    """Train what is missing and return the models."""
    folder = work / "models"
    missing = [name for name in names if not (folder / name / "sample.json").exists()]
    if missing:
        print(f"training {', '.join(missing)}", file=sys.stderr, flush=True)
        program = environments.python(work, "mlkit")
        subprocess.run([program, APPS / "train.py", folder, *missing], check=True)
    return [_load(folder / name) for name in names]


def _load(folder: Path) -> Model:
    sample = json.loads((folder / "sample.json").read_text())
    return Model(folder.name, sample["columns"], sample["rows"], sample["expected"], folder)
