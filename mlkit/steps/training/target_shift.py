"""Whether the newest rows, those that judge, have another target than those that teach."""

from typing import Final

import numpy as np
from scipy import stats

from mlkit.steps import digits
from mlkit.steps.inputs.columns import InputSchema

_MIN_ROWS: Final = 50
_MIN_KS: Final = 0.2
_MIN_TV: Final = 0.1
_ALPHA: Final = 1e-3


def find(schema: InputSchema, taught: np.ndarray, judged: np.ndarray) -> list[str]:
    """Return a warning ``target_drift`` if the targets differ by much and not by chance.

    A regression is compared by the distance of Kolmogorov and Smirnov, a classification by the
    total variation of the classes' shares and a χ² test. Rows in a row are alike, so the test
    alone says little: the distance has to be large.
    """
    if min(len(taught), len(judged)) < _MIN_ROWS:
        return []
    said = _numbers(taught, judged) if schema.task == "regression" else _classes(
        schema, taught.astype(int), judged.astype(int)
    )  # fmt: skip
    if said is None:
        return []
    return [
        f"target_drift: '{schema.target}' of the newest rows, which judge, is not what it was "
        f"among the older ones, which teach: {said}"
    ]


def unseen(schema: InputSchema, taught: np.ndarray, judged: np.ndarray) -> list[str]:
    """Return a warning ``class_unseen`` for each class that none of the rows that teach has.

    >>> schema = InputSchema(columns=(), target="y", task="classification", classes=("a", "b"))
    >>> unseen(schema, np.array([0, 0]), np.array([0, 1]))[0][:40]
    "class_unseen: no row that teaches has 'b"
    """
    missing = set(range(len(schema.classes))) - {int(code) for code in np.unique(taught)}
    if schema.task == "regression":
        return []
    return [
        f"class_unseen: no row that teaches has '{schema.classes[code]}', "
        f"{int((judged == code).sum())} of the newest rows, which judge, do: this version never "
        "answers it, one that is trained when those rows are older can"
        for code in sorted(missing)
    ]


def _numbers(taught: np.ndarray, judged: np.ndarray) -> str | None:
    found = stats.ks_2samp(taught, judged, method="asymp")
    if found.statistic < _MIN_KS or found.pvalue > _ALPHA:
        return None
    before, now = digits.alike(float(np.median(taught)), float(np.median(judged)), least=4)
    return f"median {before}, now {now} (KS {found.statistic:.2f}, p {found.pvalue:.1g})"


def _classes(schema: InputSchema, taught: np.ndarray, judged: np.ndarray) -> str | None:
    counts = np.array([np.bincount(part, minlength=len(schema.classes))
                       for part in (taught, judged)])  # fmt: skip
    counts = counts[:, counts.sum(axis=0) > 0]
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = np.abs(shares[0] - shares[1]).sum() / 2
    if distance < _MIN_TV or counts.shape[1] < 2:
        return None
    p_value = stats.chi2_contingency(counts, correction=False).pvalue
    if p_value > _ALPHA:
        return None
    present = [label for place, label in enumerate(schema.classes)
               if (taught == place).any() or (judged == place).any()]  # fmt: skip
    most = int(np.argmax(np.abs(shares[0] - shares[1])))
    return (
        f"{shares[0][most]:.0%} were '{present[most]}', now {shares[1][most]:.0%} "
        f"(total variation {distance:.2f}, p {p_value:.1g})"
    )
