"""Diagnose a performance verdict from drift of the inputs and of the base rate, and advise."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from mlkit.steps.drift.result import FeatureDrift, excess
from mlkit.steps.performance.base_rate import BaseRate
from mlkit.steps.performance.judge import Verdict

_SHOWN = 3


class Clues(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence beside the verdict.

    ``inputs`` are the drift tests of the inputs. ``base`` is the change of the actual values, None
    if they have not drifted. ``since`` are the change points of the missing values of a column or,
    under the name ``ERROR``, of the error. ``error`` describes an error without a significant rise.
    """

    inputs: Sequence[FeatureDrift] = ()
    base: BaseRate | None = None
    since: Mapping[str, str] = MappingProxyType({})
    error: str = "error did not"


ERROR: Final = ""  # the name of the error among the columns of ``Clues.since``


def of(verdict: Verdict, clues: Clues) -> str:
    """Return the most likely cause and what to do, empty if there is nothing to say.

    >>> of("degraded", Clues())
    'error grew, inputs quiet: relation changed, retrain'
    >>> of("ok", Clues(base=BaseRate("yes 20% to 35%", True)))
    'base rate moved (yes 20% to 35%): recalibrate threshold'
    """
    drifted = sorted((f for f in clues.inputs if f.drifted), key=excess, reverse=True)
    missing = [feature for feature in drifted if feature.kind == "missing"]
    mistyped = [feature.column for feature in drifted if feature.kind == "type"]
    moved = [feature.name for feature in drifted if feature.kind not in ("missing", "type")]
    broken = [f"values of {_listed(mistyped)} are of another type"] if mistyped else []
    broken += [_missing(missing, clues.since)] if missing else []
    if broken:
        after = ", before anything is retrained" if verdict == "degraded" else ""
        return f"{'; '.join(broken)}: look upstream{after}"
    if verdict == "insufficient_data":
        return ""
    if clues.base is not None and clues.base.explains:
        return _recalibrate(verdict, clues.base, moved)
    if verdict == "degraded":
        return _degraded(moved, clues)
    if moved:
        return f"inputs moved ({_listed(moved)}), {clues.error}: watch"
    if clues.base is not None:
        return f"base rate moved{_told(clues.base)}, {clues.error}: check the threshold"
    return ""


def _degraded(moved: Sequence[str], clues: Clues) -> str:
    unsure = [feature.name for feature in clues.inputs if feature.drifted is None]
    grew = f"error grew{_at(clues.since, ERROR)}"
    if moved:
        return f"{grew}, inputs moved ({_listed(moved)}): retrain on newer rows"
    if unsure:
        names = _listed(unsure)
        return f"{grew}; whether inputs moved ({names}) cannot be told from these rows"
    if clues.base is not None and clues.base.explains is None:
        return f"{grew}, base rate moved{_told(clues.base)}, inputs quiet: recalibrate or retrain"
    return f"{grew}, inputs quiet: relation changed, retrain"


def _recalibrate(verdict: Verdict, base: BaseRate, moved: Sequence[str]) -> str:
    """Return the diagnosis of prior shift; the inputs drift with the base rate."""
    inputs = f", and inputs with it ({_listed(moved)})" if moved else ""
    grew = "; the error grew by nothing else" if verdict == "degraded" else ""
    return f"base rate moved{_told(base)}{inputs}: recalibrate threshold{grew}"


def _missing(features: Sequence[FeatureDrift], since: Mapping[str, str]) -> str:
    fewer = all(feature.statistic < 0 for feature in features)
    named = [f"{f.column}{_at(since, f.column)}" for f in features]
    return f"{'fewer ' if fewer else ''}missing values in {_listed(named)}"


def _at(since: Mapping[str, str], name: str) -> str:
    return f" since {since[name]}" if name in since else ""


def _told(base: BaseRate) -> str:
    return f" ({base.words})" if base.words else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
