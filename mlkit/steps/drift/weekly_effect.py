"""The design effect of a reference from the log that is too short to measure its own.

It is taken from a longer reference (``borrow``), or measured on the same hours of several weeks
(``weekly``). As in ``design_effect`` blocks are compared by ``block_variance``, but each only with
the same block of the other weeks.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow.compute as pc

from mlkit.steps.drift import block_variance, derived, design_effect, reference, times
from mlkit.steps.drift.block_variance import Statistic
from mlkit.steps.drift.reference_columns import Profile, Reference
from mlkit.steps.tables import casts, dtypes

_SMALLEST: Final = 64  # rows of a block, as in ``design_effect``
_FEWEST_STRETCHES: Final = 3  # two alarmed in 3 % of the checks on AR(1) data, three in 0.5 %
_FEWEST: Final = 8  # degrees of freedom from which on a variance is estimated
_MOST_BLOCKS: Final = 64
_STANDARD_ERRORS: Final = 2.0  # by which a tau must exceed 1 to be taken for more than 1
_CAUTION: Final = 0.5  # standard errors by which it is then raised: too small causes false alarms


class Positions(NamedTuple):
    """The position of each row of a column: its stretch, and how far into that it is, 0 to 1."""

    stretch: np.ndarray
    share: np.ndarray
    stretches: int

    def of(self, kept: np.ndarray) -> "Positions":
        """Return the positions of some of the rows."""
        return Positions(self.stretch[kept], self.share[kept], self.stretches)


class Placed(NamedTuple):
    """A column and the positions of its rows."""

    column: Any
    positions: Positions


def borrow(known: Reference, longer: Reference) -> Reference:
    """Return ``known`` with the design effects that ``longer`` has measured.

    Columns that ``longer`` lacks are left out.
    """
    shown = {profile.name: profile.taus for profile in longer.columns}
    kept = tuple(
        msgspec.structs.replace(profile, taus=shown[profile.name])
        for profile in known.columns
        if profile.name in shown
    )
    rate = times.rate(longer.rows, longer.span_s)
    return msgspec.structs.replace(known, columns=kept, sizes=longer.sizes, rate=rate)


def reaches_further(longer: Reference, known: Reference) -> bool:
    """Tell whether ``longer`` measured larger windows: by their time if known, else their rows."""
    if not longer.sizes or not known.sizes:
        return bool(longer.sizes)
    sizes = [float(each.sizes[-1]) for each in (longer, known)]
    if longer.span_s and known.span_s:
        sizes[0] *= longer.span_s / longer.rows
        sizes[1] *= known.span_s / known.rows
    return sizes[0] > sizes[1]


def weekly(known: Reference, placed: Mapping[str, Placed], stretches: int) -> Reference | None:
    """Return ``known`` with the design effects of its ``stretches``, None if these are too few.

    A stretch is cut into blocks of equal time, and each block is compared with the same block of
    the other stretches. Both have the same hours and weekdays, so these effects cancel; the
    variance that is left is that of a window without drift. Gaps between rows belong to no block
    and are left out.
    """
    blocks = _blocks(known.rows // stretches, stretches)
    if stretches < _FEWEST_STRETCHES or not blocks:
        return None
    columns = tuple(
        msgspec.structs.replace(profile, taus=_taus(profile, _numbers(profile, placed), blocks))
        for profile in known.columns
        if profile.derived != "gap"
    )
    sizes = tuple(known.rows // stretches // number for number in blocks)
    return msgspec.structs.replace(known, columns=columns, sizes=sizes)


def _blocks(rows: int, stretches: int) -> tuple[int, ...]:
    """Return the numbers of blocks that a stretch of ``rows`` rows is cut into, largest first.

    >>> _blocks(1_000, 4)
    (8, 4)
    """
    count = min(_MOST_BLOCKS, 1 << max(0, (rows // _SMALLEST).bit_length() - 1))
    found = []
    while count * (stretches - 1) >= _FEWEST and rows // count >= _SMALLEST:
        found.append(count)
        count //= 2
    return tuple(found)


def _numbers(profile: Profile, placed: Mapping[str, Placed]) -> Placed:
    """Return the values of the profile's column, derived if need be, and their positions."""
    found = placed[profile.column]
    if profile.derived is None:
        return found
    moments = placed[times.MOMENT].column if profile.derived == "age" else None
    return found._replace(
        column=derived.recompute(profile.derived, found.column, moments, profile.known)
    )


def _taus(profile: Profile, placed: Placed, blocks: tuple[int, ...]) -> np.ndarray:
    """Return the taus as in ``Profile``; for violations they are those of the values."""
    codes, kept = _codes(profile, placed.column)
    statistic: Statistic = "ks" if profile.measure == "number" else "chi2"
    missing = reference.gaps(placed.column)
    usual = _of_blocks(codes, placed.positions.of(kept), statistic, blocks)
    return np.array([usual, _of_blocks(missing, placed.positions, "chi2", blocks), usual])


def _codes(profile: Profile, column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of the values that are not missing, and which rows have one."""
    if profile.measure == "number":
        values = casts.cast(column, dtypes.NUMBER).column.to_numpy().astype(float)
        kept = ~np.isnan(values)
        return design_effect.cells(values[kept], profile.values), kept
    texts = reference.labels(column, profile.measure, numeric=profile.numeric)
    kept = pc.is_valid(texts).to_numpy()
    return reference.codes_of(texts.drop_null(), profile.labels), kept


def _of_blocks(
    codes: np.ndarray, positions: Positions, statistic: Statistic, blocks: tuple[int, ...]
) -> np.ndarray:
    """Return the taus of blocks of each size; they never fall with the size.

    A column that only one stretch has gets the tau of its autocorrelation.
    """
    stretches = len(np.unique(positions.stretch))
    if stretches < 2:
        return np.full(len(blocks), design_effect.of_series(codes, statistic))
    width, finest = int(codes.max()) + 1, blocks[0]
    block = np.minimum((positions.share * finest).astype(np.int64), finest - 1)
    place = (positions.stretch * finest + block) * width + codes
    counts = np.bincount(place, minlength=positions.stretches * finest * width)
    found = []
    for number in blocks:
        merged = counts.reshape(positions.stretches, number, finest // number, width).sum(axis=2)
        seen = block_variance.observe(statistic, merged, merged.sum(axis=0) - merged)
        noise = np.sqrt(2 / ((stretches - 1) * number))  # relative standard error of a variance
        clear = seen.usual > 1 + _STANDARD_ERRORS * noise
        usual = seen.usual * (1 + _CAUTION * noise) if clear else 1.0
        found.append(max(1.0, usual, seen.largest))
    return np.maximum.accumulate(found)
