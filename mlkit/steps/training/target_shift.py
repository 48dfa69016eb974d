"""Drift of the target between the training rows and the holdout."""

from typing import Final

import numpy as np
from scipy import stats

from mlkit.steps import digits
from mlkit.steps.inputs.columns import InputSchema

_MIN_ROWS: Final = 50
_MIN_KS: Final = 0.2
_MIN_TV: Final = 0.1
_ALPHA: Final = 1e-3


def find(schema: InputSchema, training: np.ndarray, holdout: np.ndarray) -> list[str]:
    """Return a warning ``target_drift`` if the targets differ much and significantly.

    A regression is compared by the Kolmogorov-Smirnov test, a classification by a χ² test and the
    total variation of the class shares. The tests assume independent rows, which rows in time order
    are not, so the distance must be large as well.
    """
    if min(len(training), len(holdout)) < _MIN_ROWS:
        return []
    said = _numbers(training, holdout) if schema.task == "regression" else _classes(
        schema, training.astype(int), holdout.astype(int)
    )  # fmt: skip
    if said is None:
        return []
    return [
        f"target_drift: '{schema.target}' of the holdout, the newest rows, is not what it was "
        f"in the training rows: {said}"
    ]


def unseen(schema: InputSchema, training: np.ndarray, holdout: np.ndarray) -> list[str]:
    """Return a warning ``class_unseen`` for each class that no training row has.

    >>> schema = InputSchema(columns=(), target="y", task="classification", classes=("a", "b"))
    >>> unseen(schema, np.array([0, 0]), np.array([0, 1]))[0][:40]
    "class_unseen: no training row has 'b', 1"
    """
    missing = set(range(len(schema.classes))) - {int(code) for code in np.unique(training)}
    if schema.task == "regression":
        return []
    return [
        f"class_unseen: no training row has '{schema.classes[code]}', "
        f"{int((holdout == code).sum())} of the holdout, the newest rows, do: this version never "
        "answers it, one that is trained when those rows are older can"
        for code in sorted(missing)
    ]


def _numbers(training: np.ndarray, holdout: np.ndarray) -> str | None:
    found = stats.ks_2samp(training, holdout, method="asymp")
    if found.statistic < _MIN_KS or found.pvalue > _ALPHA:
        return None
    before, now = digits.alike(float(np.median(training)), float(np.median(holdout)), least=4)
    return f"median {before}, now {now} (KS {found.statistic:.2f}, p {found.pvalue:.1g})"


def _classes(schema: InputSchema, training: np.ndarray, holdout: np.ndarray) -> str | None:
    counts = np.array([np.bincount(part, minlength=len(schema.classes))
                       for part in (training, holdout)])  # fmt: skip
    counts = counts[:, counts.sum(axis=0) > 0]
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = np.abs(shares[0] - shares[1]).sum() / 2
    if distance < _MIN_TV or counts.shape[1] < 2:
        return None
    p_value = stats.chi2_contingency(counts, correction=False).pvalue
    if p_value > _ALPHA:
        return None
    present = [label for place, label in enumerate(schema.classes)
               if (training == place).any() or (holdout == place).any()]  # fmt: skip
    most = int(np.argmax(np.abs(shares[0] - shares[1])))
    return (
        f"{shares[0][most]:.0%} were '{present[most]}', now {shares[1][most]:.0%} "
        f"(total variation {distance:.2f}, p {p_value:.1g})"
    )
