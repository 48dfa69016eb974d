"""What a grown error, moved inputs and a moved base rate mean together, in words to act on."""

from collections.abc import Mapping, Sequence

from mlkit.steps.drift_result import FeatureDrift, excess
from mlkit.steps.performance import Verdict

_SHOWN = 3
_BROKEN: Mapping[str, str] = {
    "type": "values of {} are of another type",
    "missing": "more or fewer values of {} are missing",
}


def of(verdict: Verdict, inputs: Sequence[FeatureDrift], *, base_moved: bool) -> str:
    """Return what most likely happened and what to do, or an empty text if there is nothing to say.

    ``inputs`` are the tests of the inputs, ``base_moved`` says whether the actual values moved.

    >>> of("degraded", [], base_moved=False)
    'the error grew and the inputs are quiet: what they mean has changed, retrain'
    >>> of("ok", [], base_moved=True)
    'the base rate moved and the error did not: check the threshold of whoever decides by it'
    """
    drifted = sorted((f for f in inputs if f.drifted), key=excess, reverse=True)
    broken = [
        f"{text.format(_listed(columns))}: look upstream"
        for kind, text in _BROKEN.items()
        if (columns := [feature.column for feature in drifted if feature.kind == kind])
    ]
    moved = [feature.name for feature in drifted if feature.kind not in _BROKEN]
    if broken:
        later = ", before anything is retrained" if verdict == "degraded" else ""
        return "; ".join(broken) + later
    if verdict == "degraded":
        unsure = [feature.name for feature in inputs if feature.drifted is None]
        return _degraded(moved, unsure, base_moved=base_moved)
    if verdict == "insufficient_data":
        return ""
    if moved:
        return f"inputs moved ({_listed(moved)}) and the error did not: watch"
    if base_moved:
        return (
            "the base rate moved and the error did not: check the threshold of whoever decides "
            "by it"
        )
    return ""


def _degraded(moved: Sequence[str], unsure: Sequence[str], *, base_moved: bool) -> str:
    if moved:
        return f"the error grew and inputs moved ({_listed(moved)}): retrain on newer rows"
    if unsure:
        names = _listed(unsure)
        return f"the error grew; whether inputs moved ({names}) cannot be told from these rows"
    if base_moved:
        return "the error grew and the base rate moved, the inputs did not: recalibrate or retrain"
    return "the error grew and the inputs are quiet: what they mean has changed, retrain"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
