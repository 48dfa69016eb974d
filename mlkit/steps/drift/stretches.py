"""How stretches of a log vary where a reference made of them is too short to show it by itself.

The windows of a longer reference say it (``borrow``), or the same hours of several weeks
(``weekly``).
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow.compute as pc
from scipy import special

from mlkit.steps.drift import derived, reference, scatter, times
from mlkit.steps.drift.profiles import Profile, Reference
from mlkit.steps.drift.scatter import Statistic
from mlkit.steps.tables import casts

_SMALLEST: Final = 64  # rows of a block, as in ``scatter``
_FEWEST_STRETCHES: Final = 3  # two alarmed in 3 % of the checks on AR(1) data, three in 0.5 %
_FEWEST: Final = 8  # blocks that say anything of how much they vary
_MOST_BLOCKS: Final = 64
_PATIENCE: Final = 2.0
_CAUTION: Final = 0.5  # standard errors that few blocks may have varied too little by chance


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
    rate = longer.rows / longer.span_s if longer.span_s else None
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
        values = casts.cast(column, casts.NUMBER).column.to_numpy().astype(float)
        kept = ~np.isnan(values)
        return scatter.cells(values[kept], profile.values), kept
    texts = reference.labels(column, profile.measure, numeric=profile.numeric)
    kept = pc.is_valid(texts).to_numpy()
    return reference.codes_of(texts.drop_null(), profile.labels), kept


class _Look(NamedTuple):
    """As in ``scatter``: what explains how much blocks vary, and what their largest distance."""

    usual: float
    largest: float


def _of_blocks(
    codes: np.ndarray, seats: Seats, statistic: Statistic, blocks: tuple[int, ...]
) -> np.ndarray:
    """Return the taus of blocks of each size; a larger size has at least that of the one before.

    A column that only one stretch has is taken as a series whose neighbours resemble each other.
    """
    stretches = len(np.unique(seats.stretch))
    if stretches < 2:
        return np.full(len(blocks), scatter.of_series(codes, statistic))
    width, finest = int(codes.max()) + 1, blocks[0]
    block = np.minimum((seats.share * finest).astype(np.int64), finest - 1)
    place = (seats.stretch * finest + block) * width + codes
    counts = np.bincount(place, minlength=seats.stretches * finest * width)
    found = []
    for number in blocks:
        merged = counts.reshape(seats.stretches, number, finest // number, width).sum(axis=2)
        look = _LOOKS[statistic](merged)
        noise = np.sqrt(2 / ((stretches - 1) * number))  # the relative error of a variance
        certain = look.usual > 1 + _PATIENCE * noise
        usual = look.usual * (1 + _CAUTION * noise) if certain else 1.0
        found.append(max(1.0, usual, look.largest))
    return np.maximum.accumulate(found)


def _ks(counts: np.ndarray) -> _Look:
    """Look at the distribution functions of blocks (stretches, blocks, cells) beside the others."""
    others = counts.sum(axis=0) - counts
    joint = _joint(counts, others)
    gaps = _functions(counts) - _functions(others)
    squares = gaps**2 * joint
    weight = joint / joint.sum()
    rare = float(special.kolmogi(_rare(joint)))
    usual = 4 * float((squares * weight).sum(axis=(0, 1)).max())
    return _Look(usual, float(squares.max()) / rare**2)


def _chi2(counts: np.ndarray) -> _Look:
    """Look at Pearson's statistic of blocks beside the others, whose mean is its freedom."""
    total = counts.sum(axis=0)
    others = total - counts
    joint = _joint(counts, others)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = total / total.sum(axis=-1, keepdims=True)
        distances = _shares(counts) - _shares(others)
        squares = np.where(total > 0, distances**2 * joint / shares, 0.0).sum(axis=-1)
    freedom = np.maximum((total > 0).sum(axis=-1) - 1, 0)
    if not freedom.any():
        return _Look(1.0, 1.0)
    weight = joint[..., 0]
    usual = float((squares * weight).sum() / (freedom * weight).sum())
    rare = special.chdtri(np.maximum(freedom, 1), _rare(joint))
    return _Look(usual, float((squares / rare).max()))


def _joint(counts: np.ndarray, others: np.ndarray) -> np.ndarray:
    first, second = (part.sum(axis=-1, keepdims=True) for part in (counts, others))
    return np.asarray(first * second / np.maximum(first + second, 1))


def _functions(counts: np.ndarray) -> np.ndarray:
    return np.asarray(np.cumsum(_shares(counts), axis=-1))


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1))


def _rare(joint: np.ndarray) -> float:
    """Return the probability that the largest of all blocks exceeds in one of twenty cases."""
    return float(1 - 0.95 ** (1 / max(1, int((joint > 0).sum()))))


_LOOKS: Final = {"ks": _ks, "chi2": _chi2}
