"""The correction for multiple tests of one comparison, and the verdict.

Benjamini and Hochberg's procedure with weights (Genovese, Roeder and Wasserman 2006, Biometrika
93): the p values are divided by weights whose mean over all tests is 1.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from mlkit.steps.drift.distance import false_discovery
from mlkit.steps.drift.result import VIOLATIONS, DriftResult, FeatureDrift, Verdict

_LARGE: Final = 0.25  # an effect that every test must detect: a shift by 0.64 standard deviations

Group = Literal["margin", "violation", "joint"]

_SHARES: Final[dict[Group, float]] = {"violation": 0.1, "joint": 0.1}
"""The share of alpha for all tests of a group together; the tests of single columns get the rest.

There are many tests for violations, and nearly all find nothing. With equal shares they would cost
the other tests much of their power, and real violations have tiny p values anyway.
"""


def share(group: Group, groups: Sequence[Group]) -> float:
    """Return the share of alpha for the tests of ``group``, among the ``groups`` that are present.

    >>> share("margin", ["margin", "violation"])
    0.9
    """
    rest = 1.0 - sum(_SHARES.get(other, 0.0) for other in set(groups))
    shares = {other: _SHARES.get(other, rest) for other in groups}
    return shares[group] / sum(shares.values())


def judge(
    features: Sequence[FeatureDrift], *, quiet: int, alpha: float
) -> tuple[FeatureDrift, ...]:
    """Return ``features`` with q values and whether they drifted.

    ``quiet`` is the number of tests for violations that found none. Their p value is 1, and they
    count in the correction.
    """
    if not features:
        return ()
    groups = [_group(feature) for feature in features]
    counts: Counter[Group] = Counter(groups)
    counts["violation"] += quiet
    present = [group for group in counts if counts[group]]
    weights = {group: share(group, present) * counts.total() / counts[group] for group in present}
    p_values = [f.evidence / weights[group] for f, group in zip(features, groups, strict=True)]
    adjusted = false_discovery(np.minimum(1.0, [*p_values, *[1.0] * quiet]))
    return tuple(
        msgspec.structs.replace(
            feature, q_value=q_value, drifted=_has_drifted(feature, q_value, alpha)
        )
        for feature, q in zip(features, adjusted[: len(features)], strict=True)
        for q_value in [max(float(q), feature.evidence)]  # whatever the weight, q is not below p
    )


def verdict(features: Sequence[FeatureDrift]) -> Verdict:
    """Return the verdict of all judged tests together."""
    found = {feature.drifted for feature in features}
    return "drift" if True in found else "ok" if False in found else "insufficient_data"


def add(result: DriftResult, feature: FeatureDrift, *, enough: bool) -> DriftResult:
    """Return ``result`` with one more test, judged together with the others."""
    features = (*result.features, feature)
    if enough:
        features = judge(features, quiet=result.quiet, alpha=result.alpha)
    warnings = [text for text in result.warnings if not text.startswith(_UNDERPOWERED)]
    return msgspec.structs.replace(
        result,
        features=features,
        verdict=verdict(features),
        warnings=(*warnings, *(warn_underpowered(features) if enough else ())),
    )


def warn_underpowered(features: Sequence[FeatureDrift]) -> Iterator[str]:
    """Yield a warning for each feature whose test had too little power for a verdict."""
    for feature in features:
        if feature.drifted is None:
            yield (
                f"{_UNDERPOWERED} '{feature.name}' is judged on {feature.effective_rows:.0f} "
                f"effective rows, which show nothing below {feature.minimum_detectable:.2f} with "
                "certainty, so the verdict leaves it out; compare more rows or a longer window"
            )


_UNDERPOWERED: Final = "blind:"


def _group(feature: FeatureDrift) -> Group:
    if feature.kind == "joint":
        return "joint"
    return "violation" if feature.kind in VIOLATIONS else "margin"


def _has_drifted(feature: FeatureDrift, q_value: float, alpha: float) -> bool | None:
    if q_value <= alpha and feature.effect >= feature.threshold:
        return True
    return None if _is_underpowered(feature) else False


def _is_underpowered(feature: FeatureDrift) -> bool:
    """Tell whether even a large change could have been missed."""
    return feature.minimum_detectable > max(_LARGE, feature.threshold)
