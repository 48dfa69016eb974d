"""Has a table moved away from a reference? A verdict needs size, significance and enough rows.

The statistics are in ``distance``, how many rows a correlated series is worth in ``correlation``.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, Protocol, Self

import msgspec
import numpy as np
import pyarrow as pa

from mlkit import settings
from mlkit.errors import InvalidInputError
from mlkit.steps import (
    correlation,
    derived,
    family,
    moments,
    onset,
    rare,
    reference,
    scatter,
    times,
    violations,
)
from mlkit.steps.distance import (
    chi2,
    chi2_visible,
    deciles,
    ks,
    ks_visible,
    psi,
    two_proportion,
    wasserstein,
)
from mlkit.steps.drift_result import VIOLATIONS, DriftResult, FeatureDrift, Rows, ViolationKind
from mlkit.steps.profiles import Profile, Reference
from mlkit.steps.violations import Found, Level, Usual

_DENSE: Final = 1.25  # times as many rows in the same time make a difference
_LEADING: Final = 3  # labels whose series stand for the correlation of a categorical column


class Columns(Protocol):
    """Rows to be compared: a table, or what reads one column at a time."""

    @property
    def num_rows(self) -> int:
        """How many rows there are."""

    @property
    def column_names(self) -> Sequence[str]:
        """The names of the columns."""

    def column(self, name: str) -> Any:
        """Return the values of one column."""


class DriftRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a feature has drifted; ``alpha`` is the chance of a false alarm in one check.

    ``ordered`` says that the current rows are in time order. They resemble their neighbours, so
    they count for fewer. Of rows in any other order nothing is known, and a sorted file would look
    like one value.
    """

    alpha: float = settings.Drift().alpha
    min_rows: int = settings.Drift().min_rows
    min_ks: float = settings.Drift().min_ks
    min_tv: float = settings.Drift().min_tv
    min_missing: float = settings.Drift().min_missing
    min_violations: float = settings.Drift().min_violations
    min_joint: float = settings.Drift().min_joint
    ordered: bool = False

    @classmethod
    def from_settings(cls, chosen: settings.Drift, *, ordered: bool = False) -> Self:
        """Return the rule that the settings describe."""
        return cls(
            alpha=chosen.alpha,
            min_rows=chosen.min_rows,
            min_ks=chosen.min_ks,
            min_tv=chosen.min_tv,
            min_missing=chosen.min_missing,
            min_violations=chosen.min_violations,
            min_joint=chosen.min_joint,
            ordered=ordered,
        )


def compare_tables(
    first: pa.Table,
    second: pa.Table,
    rule: DriftRule,
    *,
    spans_s: tuple[float | None, float | None] = (None, None),
) -> DriftResult:
    """Compare the columns that both tables have; what only one has is a warning.

    With ``rule.ordered`` both are in time order; ``spans_s`` is what they span.

    Raises InvalidInputError if they have none in common.
    """
    kinds = reference.kinds_of(first)
    present = set(second.column_names)
    common = {name: kind for name, kind in kinds.items() if name in present}
    if not common:
        raise InvalidInputError("the two tables have no column in common")
    gone = [name for name in kinds if name not in common]
    added = [name for name in reference.kinds_of(second) if name not in kinds]
    known = reference.summarize(first, common, ordered=rule.ordered)
    known = msgspec.structs.replace(known, span_s=spans_s[0])
    result = compare(known, second, rule, span_s=spans_s[1])
    notes = (
        *(f"column_missing: '{name}' is only in the reference" for name in gone),
        *(f"column_added: '{name}' is only in the current rows" for name in added),
    )
    return msgspec.structs.replace(result, warnings=(*notes, *result.warnings))


def compare(
    reference: Reference, current: Columns, rule: DriftRule, *, span_s: float | None = None
) -> DriftResult:
    """Return the verdict on ``current``, whose columns are found by the reference's names.

    A feature has drifted if its effect reaches the threshold **and** its q value (Benjamini and
    Hochberg over the evidence on all) is at most ``alpha``. Below ``min_rows`` rows, of either,
    nothing is judged, and "no drift" is not said of a feature whose rows could not have shown any.
    ``span_s`` is the time that the current rows span; with ``times.MOMENT`` they show the age of
    their times.
    """
    features: list[FeatureDrift] = []
    look = _look(reference, current, rule, span_s)
    for profile in reference.columns:
        column, way = current.column(profile.column), profile.derived
        if way is None:
            features.extend(_tests(profile, column, look))
        elif way != "gap" or look.same_pace:
            when = times.moments(current) if way == "age" else None
            numbers = derived.again(way, column, when, profile.known)
            features.extend(_derived(profile, numbers, look) if numbers is not None else ())
    enough = min(current.num_rows, reference.rows) >= rule.min_rows
    watched = sum(len(profile.watched) for profile in reference.columns)
    quiet = watched - sum(feature.kind in VIOLATIONS for feature in features)
    judged = family.judge(features, quiet=quiet, alpha=rule.alpha) if enough else tuple(features)
    return DriftResult(
        verdict=family.verdict(judged),
        features=judged,
        rows=Rows(reference.rows, current.num_rows),
        warnings=tuple(family.blind(judged)) if enough else (),
        alpha=rule.alpha,
        quiet=quiet,
    )


Events = Callable[[], Sequence[np.ndarray]]


class _Look(NamedTuple):
    """How the columns are looked at: the rule, the parts of alpha of one test, the window sizes.

    ``density`` says how many current rows there are in the time of one row of the windows that the
    sizes are about, ``crowding`` how many rows of the reference in the time of a current one; both
    are ``timed`` if that is known.
    """

    rule: DriftRule
    alpha: float
    violation_alpha: float
    sizes: tuple[int, ...]
    density: float
    crowding: float
    timed: bool

    @property
    def same_pace(self) -> bool:
        """Whether as many rows come in the same time, so that their gaps can be compared."""
        return self.rule.ordered and self.timed and 1 / _DENSE <= self.density <= _DENSE

    def tau(self, known: np.ndarray, sides: tuple[int, int], events: Events) -> float:
        """Return how many rows of either side are worth one; ``sides`` are those there are.

        Where rows resemble their neighbours, more of them in the same time say no more: of a denser
        reference as many more count for one.
        """
        before, rows = sides
        tau = self._current(known, rows, events)
        if tau == 1 or self.crowding <= _DENSE:
            return tau
        return tau * (before + rows * self.crowding) / (before + rows)

    def _current(self, known: np.ndarray, rows: int, events: Events) -> float:
        """Return how many current rows are worth one: what windows of the reference have shown.

        Windows that take as much time are meant, not as many rows. What rows resemble each other
        that lie between two of the reference, only the current rows can show: ``events`` are
        series of theirs. A change in the midst of them looks like that, too, and so they are asked
        for no more than that, or where the reference says nothing.
        """
        if not self.rule.ordered:
            return 1.0
        if not self.sizes:
            return correlation.time(events())
        usual = scatter.at(known, self.sizes, round(rows / self.density))
        if self.density > _DENSE:
            return float(usual * min(self.density, correlation.time(events())))
        if self.density < 1 / _DENSE:
            return max(1.0, self.density * usual)
        return usual

    def of_extremes(self, profile: Profile, tau: float, rows: int) -> float:
        """Return how many extreme rows are worth one where so many others are."""
        if not (self.rule.ordered and self.sizes):
            return tau
        usual, extreme = (
            scatter.at(profile.taus[place], self.sizes, round(rows / self.density))
            for place in (0, 2)
        )
        return tau * extreme / usual


def _look(reference: Reference, current: Columns, rule: DriftRule, span_s: float | None) -> _Look:
    watched = sum(len(profile.watched) for profile in reference.columns)
    groups: list[family.Group] = ["margin", "violation"] if watched else ["margin"]
    density, crowding = _rates(reference, current, span_s) or (1.0, 1.0)
    return _Look(
        rule,
        rule.alpha * family.share("margin", groups) / max(1, len(reference.columns)),
        rule.alpha * family.share(groups[-1], groups) / max(1, watched),
        reference.sizes,
        density,
        crowding,
        timed=_rates(reference, current, span_s) is not None,
    )


def _rates(
    reference: Reference, current: Columns, span_s: float | None
) -> tuple[float, float] | None:
    """Return density and crowding, as ``_Look`` has them, if the times are known."""
    if not reference.span_s or not span_s or not current.num_rows:
        return None
    now, before = current.num_rows / span_s, reference.rows / reference.span_s
    return now / (reference.rate or before), before / now


def _tests(profile: Profile, column: Any, look: _Look) -> Iterator[FeatureDrift]:
    """Yield the tests of one column: its values, where both sides have some, and its gaps."""
    fitted, misfits = column, None
    if profile.typed is not None:
        fitted, misfits = violations.fit(profile.typed, column)
    present = yield from _values(profile, fitted, look)
    if misfits is not None:
        tau = look.tau(profile.taus[0], (profile.present, misfits.of), list)
        yield _violation("type", profile, misfits, tau, look)
    missing = len(column) - present - (misfits.hits if misfits else 0)
    if profile.rows and len(column) and (missing or profile.present < profile.rows):
        yield _missing(profile, column, missing, look)


def _derived(profile: Profile, column: Any, look: _Look) -> Iterator[FeatureDrift]:
    """Yield the test of numbers derived from a column; of many texts not all are read."""
    if profile.derived == "words" and len(column):
        read = (len(column) - column.null_count) / len(column)
        look = look._replace(density=look.density * read * profile.rows / profile.present)
    yield from _values(profile, column, look)


def _values(profile: Profile, column: Any, look: _Look) -> Generator[FeatureDrift, None, int]:
    """Yield the tests of the values of one column and return how many there are."""
    if profile.measure == "number":
        values = reference.numbers(column)
        if len(values):
            yield from _number(profile, values, look)
        return len(values)
    if profile.measure == "text":
        return int(len(column) - column.null_count)
    texts = reference.labels(column, profile.measure, numeric=profile.numeric).drop_null()
    if len(texts) and profile.present:
        yield from _labels(profile, texts, look)
    return len(texts)


def _violation(
    kind: ViolationKind, profile: Profile, found: Found, tau: float, look: _Look
) -> FeatureDrift:
    usual = profile.usual if profile.usual is not None and kind != "type" else Usual(0.0)
    level = Level(profile.present, tau, look.rule.min_violations, look.violation_alpha)
    return violations.test(kind, profile.column, found, usual, level)


def _number(profile: Profile, values: np.ndarray, look: _Look) -> Iterator[FeatureDrift]:
    quartiles = profile.values[[len(profile.values) * part // 4 for part in (1, 2, 3)]]
    sides = profile.present, len(values)
    looked_at = correlation.blocks(values)
    tau = look.tau(profile.taus[0], sides, lambda: [looked_at <= each for each in quartiles])
    sizes = sides[0] / tau, sides[1] / tau
    ordered = np.sort(values)
    distance, p_value = ks(profile.values, ordered, rows=sizes)
    p_moments = _moments(profile, values, ordered, look)
    stability = psi(*deciles(profile.values, ordered), tau=tau)
    threshold = look.rule.min_ks
    yield FeatureDrift(
        name=profile.name,
        column=profile.column,
        kind=profile.derived or "number",
        test="ks",
        statistic=distance,
        p_value=p_value,
        p_moments=p_moments,
        effect=distance,
        threshold=threshold,
        moved=_finite(wasserstein(profile.values, ordered, deviation=profile.deviation)),
        psi=stability.value,
        psi_usual=stability.usual,
        visible=ks_visible(look.alpha, threshold, _joint(*sizes)),
        effective_rows=sizes[1],
    )
    watched = "range" in profile.watched
    beyond = violations.out_of_range(ordered, profile.ends) if watched else None
    if beyond is not None:
        yield _violation("range", profile, beyond, look.of_extremes(profile, tau, beyond.of), look)


def _moments(
    profile: Profile, values: np.ndarray, ordered: np.ndarray, look: _Look
) -> float | None:
    """Return the p value of the moments of ``values``; none where ties leave none of them.

    A reference of an older program does not know how they scatter in its windows: none, too.
    """
    known, sides = profile.taus[3:], (profile.present, len(values))
    scale = moments.scale(profile.values)
    if look.rule.ordered and look.sizes:  # borrowed taus may be of fewer moments
        scale = scale._replace(scores=scale.scores[:, : len(known)])
    if not scale.scores.shape[1]:
        return None

    @cache  # one series for all moments, if any asks for it
    def scores() -> np.ndarray:
        return moments.series(correlation.blocks(values), scale)

    def events(place: int) -> Events:
        return lambda: [scores()[:, place]]

    taus = [
        look.tau(known[place] if look.sizes else known, sides, events(place))
        for place in range(scale.scores.shape[1])
    ]
    rows = _joint(*sides) / np.array(taus)
    return moments.p_value(moments.means(ordered, scale), rows)


def _labels(profile: Profile, texts: Any, look: _Look) -> Iterator[FeatureDrift]:
    codes = reference.codes_of(texts, profile.labels)
    unseen = len(profile.labels)
    leading = range(min(_LEADING, unseen))
    sides = profile.present, len(codes)
    tau = look.tau(profile.taus[0], sides, lambda: [codes == code for code in leading])
    counts = np.bincount(codes, minlength=unseen + 1)
    known, pooled = rare.pool(profile.counts, counts, len(texts) / tau)
    statistic, p_value, _ = chi2(known, pooled, tau=tau)
    variation = chi2(profile.counts, counts).variation  # of all labels: a size needs no certainty
    stability = psi(profile.counts, counts, tau=tau)
    threshold = look.rule.min_tv
    rows = _joint(profile.present / tau, len(texts) / tau)
    yield FeatureDrift(
        name=profile.name,
        column=profile.column,
        kind=profile.derived or ("hour" if profile.measure == "hour" else "category"),
        test="chi2",
        statistic=statistic,
        p_value=p_value,
        effect=variation,
        threshold=threshold,
        psi=stability.value,
        psi_usual=stability.usual,
        visible=chi2_visible(look.alpha, threshold, known, rows),
        effective_rows=len(texts) / tau,
    )
    watched = "unseen" in profile.watched
    new = violations.unseen(texts, codes, unseen, profile.known) if watched else None
    if new is not None:
        yield _violation("unseen", profile, new, look.of_extremes(profile, tau, new.of), look)


def _missing(profile: Profile, column: Any, missing: int, look: _Look) -> FeatureDrift:
    def events() -> Sequence[np.ndarray]:  # a feed that breaks off is no likeness of neighbours
        return [onset.without_step(reference.gaps(column).astype(float))]

    tau = look.tau(profile.taus[1], (profile.rows, len(column)), events)
    before = profile.rows - profile.present
    z, p_value, change = two_proportion((before, profile.rows), (missing, len(column)), tau=tau)
    threshold = look.rule.min_missing
    rows = _joint(profile.rows / tau, len(column) / tau)
    counts = np.array([before, profile.present])
    return FeatureDrift(
        name=f"missing({profile.name})",
        column=profile.name,
        kind="missing",
        test="two_proportion",
        statistic=z,
        p_value=p_value,
        effect=change,
        threshold=threshold,
        visible=chi2_visible(look.alpha, threshold, counts, rows),
        effective_rows=len(column) / tau,
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _joint(first: float, second: float) -> float:
    """Return how many rows of one sample two samples of these sizes are worth."""
    return first * second / (first + second)
