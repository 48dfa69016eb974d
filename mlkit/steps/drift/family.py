"""All tests of one comparison together: what is significant among so many, and the verdict.

Benjamini and Hochberg's procedure with weights (Genovese, Roeder, Wasserman 2006).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from mlkit.steps.drift.distance import false_discovery
from mlkit.steps.drift.result import VIOLATIONS, DriftResult, FeatureDrift, Verdict

_PLAIN: Final = 0.25  # a KS distance of a shift by 0.64 standard deviations

Group = Literal["margin", "violation", "joint"]

_SHARES: Final[dict[Group, float]] = {"violation": 0.1, "joint": 0.1}
"""What part of alpha goes to the tests of a group together; the margins have the rest.

One test of many for each column that mostly has nothing to say would make all others weaker, and
what is really broken has a p value near nothing.
"""


def share(group: Group, groups: Sequence[Group]) -> float:
    """Return the part of alpha that the tests of ``group`` have, if there are those ``groups``.

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

    ``quiet`` violations were looked for and none was found: tests with a p value of 1, which count.
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
        for q_value in [max(float(q), feature.evidence)]  # weights do not make a test surer
    )


def verdict(features: Sequence[FeatureDrift]) -> Verdict:
    """Return what the judged tests say together."""
    found = {feature.drifted for feature in features}
    return "drift" if True in found else "ok" if False in found else "insufficient_data"


def add(result: DriftResult, feature: FeatureDrift, *, enough: bool) -> DriftResult:
    """Return ``result`` with one more test, judged together with the others."""
    features = (*result.features, feature)
    if enough:
        features = judge(features, quiet=result.quiet, alpha=result.alpha)
    warnings = [text for text in result.warnings if not text.startswith(_BLIND)]
    return msgspec.structs.replace(
        result,
        features=features,
        verdict=verdict(features),
        warnings=(*warnings, *(blind(features) if enough else ())),
    )


def blind(features: Sequence[FeatureDrift]) -> Iterator[str]:
    """Say where a change that matters could not have been told from chance."""
    for feature in features:
        if feature.drifted is None:
            yield (
                f"{_BLIND} '{feature.name}' is judged on {feature.effective_rows:.0f} effective "
                f"rows, which show nothing below {feature.minimum_detectable:.2f} with certainty, so the "
                "verdict leaves it out; compare more rows or a longer window"
            )


_BLIND: Final = "blind:"


def _group(feature: FeatureDrift) -> Group:
    if feature.kind == "joint":
        return "joint"
    return "violation" if feature.kind in VIOLATIONS else "margin"


def _has_drifted(feature: FeatureDrift, q_value: float, alpha: float) -> bool | None:
    if q_value <= alpha and feature.effect >= feature.threshold:
        return True
    return None if _is_blind(feature) else False


def _is_blind(feature: FeatureDrift) -> bool:
    """Tell whether even a change that nobody would miss might have passed unseen."""
    return feature.minimum_detectable > max(_PLAIN, feature.threshold)
