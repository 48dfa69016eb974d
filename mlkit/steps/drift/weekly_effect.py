"""The design effect where a reference made of a log is too short to show it by itself.

It is taken from the windows of a longer reference (``borrow``), or from the same hours of several
weeks (``weekly``). ``design_effect`` says what it is; here, too, blocks are compared by
``block_variance``, but with the same block of the other weeks only.
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
_FEWEST: Final = 8  # blocks that say anything of how much they vary
_MOST_BLOCKS: Final = 64
_STANDARD_ERRORS: Final = 2.0  # that make a tau differ from 1
_CAUTION: Final = 0.5  # standard errors that a tau is raised by: few blocks may vary too little


class Seats(NamedTuple):
    """Where each row of a column lies: in which of ``stretches``, and how far into it, 0 to 1."""

    stretch: np.ndarray
    share: np.ndarray
    stretches: int

    def of(self, kept: np.ndarray) -> "Seats":
        """Return those of some of the rows."""
        return Seats(self.stretch[kept], self.share[kept], self.stretches)


class Placed(NamedTuple):
    """A column and where its rows lie."""

    column: Any
    seats: Seats


def borrow(known: Reference, longer: Reference) -> Reference:
    """Return ``known`` with what the windows of ``longer`` have shown of the columns of both.

    Columns that ``longer`` has not are left out, as they are where that is the reference.
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
    """Tell whether ``longer`` has looked at larger windows: by their time, else by their rows."""
    if not longer.sizes or not known.sizes:
        return bool(longer.sizes)
    sizes = [float(each.sizes[-1]) for each in (longer, known)]
    if longer.span_s and known.span_s:
        sizes[0] *= longer.span_s / longer.rows
        sizes[1] *= known.span_s / known.rows
    return sizes[0] > sizes[1]


def weekly(known: Reference, placed: Mapping[str, Placed], stretches: int) -> Reference | None:
    """Return ``known`` with what the same parts of its ``stretches`` have shown; None if too few.

    A stretch is cut into blocks of equal time, and each block is compared with the same block of
    the other stretches: what the hour or the weekday does to a column is in both, and what is left
    is what a window may differ by though nothing has changed. Gaps between rows have no block.
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
    """Return into how many blocks a stretch of ``rows`` rows is cut, the smallest blocks first.

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
    """Return the values that the profile is about, and where they lie."""
    found = placed[profile.column]
    if profile.derived is None:
        return found
    moments = placed[times.MOMENT].column if profile.derived == "age" else None
    return found._replace(
        column=derived.again(profile.derived, found.column, moments, profile.known)
    )


def _taus(profile: Profile, placed: Placed, blocks: tuple[int, ...]) -> np.ndarray:
    """Return the taus as a profile has them; those of violations are not told from the values'."""
    codes, kept = _codes(profile, placed.column)
    statistic: Statistic = "ks" if profile.measure == "number" else "chi2"
    missing = reference.gaps(placed.column)
    usual = _of_blocks(codes, placed.seats.of(kept), statistic, blocks)
    return np.array([usual, _of_blocks(missing, placed.seats, "chi2", blocks), usual])


def _codes(profile: Profile, column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of the values that are there, and which rows have one."""
    if profile.measure == "number":
        values = casts.cast(column, dtypes.NUMBER).column.to_numpy().astype(float)
        kept = ~np.isnan(values)
        return design_effect.cells(values[kept], profile.values), kept
    texts = reference.labels(column, profile.measure, numeric=profile.numeric)
    kept = pc.is_valid(texts).to_numpy()
    return reference.codes_of(texts.drop_null(), profile.labels), kept


def _of_blocks(
    codes: np.ndarray, seats: Seats, statistic: Statistic, blocks: tuple[int, ...]
) -> np.ndarray:
    """Return the taus of blocks of each size; a larger size has at least that of the one before.

    A column that only one stretch has is taken as a series whose neighbours resemble each other.
    """
    stretches = len(np.unique(seats.stretch))
    if stretches < 2:
        return np.full(len(blocks), design_effect.of_series(codes, statistic))
    width, finest = int(codes.max()) + 1, blocks[0]
    block = np.minimum((seats.share * finest).astype(np.int64), finest - 1)
    place = (seats.stretch * finest + block) * width + codes
    counts = np.bincount(place, minlength=seats.stretches * finest * width)
    found = []
    for number in blocks:
        merged = counts.reshape(seats.stretches, number, finest // number, width).sum(axis=2)
        seen = block_variance.observe(statistic, merged, merged.sum(axis=0) - merged)
        noise = np.sqrt(2 / ((stretches - 1) * number))  # relative standard error of a variance
        clear = seen.usual > 1 + _STANDARD_ERRORS * noise
        usual = seen.usual * (1 + _CAUTION * noise) if clear else 1.0
        found.append(max(1.0, usual, seen.largest))
    return np.maximum.accumulate(found)
