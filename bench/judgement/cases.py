"""References and windows in which nothing has changed, and what may change in a window."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

FEATURES = 20
DAY = 1_000  # rows

Draw = Callable[[np.random.Generator, int], np.ndarray]
Source = Callable[[np.random.Generator], tuple[np.ndarray, Callable[[int], np.ndarray]]]
"""A reference, and what draws a window of so many rows."""

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _noise(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.normal(size=(rows, FEATURES))


def _autoregressive(phi: float) -> Draw:
    def draw(rng: np.random.Generator, rows: int) -> np.ndarray:
        innovations = _noise(rng, rows + 500)
        return np.asarray(lfilter([np.sqrt(1 - phi**2)], [1, -phi], innovations, axis=0))[500:]

    return draw


def _sampled(draw: Draw) -> Source:
    """Keep every tenth row of ten times as long a reference: not all that was asked is labelled."""

    def source(rng: np.random.Generator) -> tuple[np.ndarray, Callable[[int], np.ndarray]]:
        parts = [draw(rng, 30 * DAY)[::10] for _ in range(10)]
        return np.concatenate(parts), lambda rows: draw(rng, rows)

    return source


def _weekly(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Return features with a course of the day and other weekends, from a random weekday on."""
    moments = np.arange(rows) + DAY * int(rng.integers(7))
    course = 0.5 * np.sin(2 * np.pi * moments / DAY) + 0.7 * (moments // DAY % 7 >= 5)
    return _noise(rng, rows) + course[:, None]


def _ties(rng: np.random.Generator, rows: int) -> np.ndarray:
    return np.round(rng.gamma(2, 2, size=(rows, FEATURES)) * 4) / 4


def _labels(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Return labels as whole numbers: five of them, the rarest with a share of 5 points."""
    return rng.choice(5, p=[0.4, 0.25, 0.2, 0.1, 0.05], size=(rows, FEATURES))


def _apart(draw: Draw) -> Source:
    """Draw the window for itself: long after the reference."""
    return lambda rng: (draw(rng, 30 * DAY), lambda rows: draw(rng, rows))


def nulls() -> Mapping[str, Source]:
    """Return by name how references and windows without any change are drawn."""
    return {
        "independent": _apart(_noise),
        "AR(1) 0.8": _apart(_autoregressive(0.8)),
        "AR(1) 0.95": _apart(_autoregressive(0.95)),
        "AR(1) 0.95, a tenth kept": _sampled(_autoregressive(0.95)),
        "weekly season": _apart(_weekly),
        "heavy ties": _apart(_ties),
        "labels": _apart(_labels),
    }


def real(folder: Path) -> Mapping[str, Source]:
    """Return the same of real and simulated files in ``folder``, where nothing is known to change.

    Stationary: a window anywhere behind a reference. Shuffled: rows of both drawn at random.
    """
    found: dict[str, Source] = {}
    stream = folder / "synthetic_sea_stream.csv.gz"
    if stream.exists():
        found["stationary stream"] = _pieces(_read(stream, "class"), shuffled=False)
    prices = folder / "elec2.csv.gz"
    if prices.exists():
        found["electricity, shuffled"] = _pieces(_read(prices, "up"), shuffled=True)
    weather = folder / "noaa_weather.csv.gz"
    if weather.exists():
        found["weather, shuffled"] = _pieces(_read(weather, "row", "rain"), shuffled=True)
    return found


def _pieces(values: np.ndarray, *, shuffled: bool) -> Source:
    def source(rng: np.random.Generator) -> tuple[np.ndarray, Callable[[int], np.ndarray]]:
        data = rng.permutation(values) if shuffled else values
        split = len(data) // 2

        def window(rows: int) -> np.ndarray:
            start = int(rng.integers(split, len(data) - rows + 1))
            return data[start : start + rows]

        return data[:split], window

    return source


@lru_cache
def _read(path: Path, *without: str) -> np.ndarray:
    """Return the columns of a CSV file that are numbers throughout."""
    with gzip.open(path, "rt") as file:
        names, *rows = [line.rstrip("\n").split(",") for line in file]
    columns = zip(names, zip(*rows, strict=True), strict=True)
    kept = [values for name, values in columns if name not in without and _is_number(values[0])]
    return np.array(kept, dtype=float).T


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shift(sd: float) -> Change:
    def change(window: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
        window[:, 0] += sd
        return window

    return change


def _wider(window: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    window[:, 0] *= np.sqrt(1.5)
    return window


def _more_of_a_label(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move the share of the most frequent label from 40 to 45 points."""
    others = window[:, 0] != 0
    window[others & (rng.random(len(window)) < 0.05 / 0.6), 0] = 0
    return window


DENSITIES: Mapping[str, float] = {"AR(1) 0.95, a tenth kept": 10.0}
"""How many rows of a window there are in the time of one of the reference, where not one."""

CHANGES: Mapping[str, Change] = {
    "mean + 0.1 sd": _shift(0.1),
    "mean + 0.2 sd": _shift(0.2),
    "mean + 0.5 sd": _shift(0.5),
    "variance x 1.5": _wider,
    "share + 5 points": _more_of_a_label,
}
"""What happens to one feature of twenty."""

CHANGED: Mapping[str, tuple[str, ...]] = {
    "independent": ("mean + 0.1 sd", "mean + 0.2 sd", "mean + 0.5 sd", "variance x 1.5"),
    "AR(1) 0.8": ("mean + 0.1 sd", "mean + 0.2 sd", "mean + 0.5 sd", "variance x 1.5"),
    "labels": ("share + 5 points",),
}
"""What is changed in which data."""


def most_rows(null: str) -> int:
    """Return how many rows a window may have: files are short."""
    return {"stationary stream": 10_000, "electricity, shuffled": 10_000,
            "weather, shuffled": 1_000}.get(null, 50_000)  # fmt: skip


STREAMS: Mapping[str, int] = {
    "independent, mean + 0.2 sd": 20,
    "AR(1) 0.8, mean + 0.5 sd": 20,
    "AR(1) 0.8, mean + 1 sd within 10,000 rows": 20,
    "car loans": 1,
}
"""Streams with a change that begins at a known row, and how many there are of each."""


def streams(folder: Path) -> Mapping[str, int]:
    """Return the streams that can be had: those of files need the files."""
    there = _loans(folder).exists()
    return {name: count for name, count in STREAMS.items() if there or name != "car loans"}


def stream(name: str, place: int, folder: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Return a reference, the rows that follow, and which of these is the first to change."""
    if name == "car loans":
        values = _read(_loans(folder), "id", "repaid")
        return values[:45_000], values[45_000:].copy(), 30_000
    rng = np.random.default_rng([zlib.crc32(name.encode()), place])
    draw = _noise if name.startswith("independent") else _autoregressive(0.8)
    known, rows, change = draw(rng, 30 * DAY), draw(rng, 30 * DAY), 15 * DAY + DAY // 2
    size, over = _ONSETS[name]
    course = (np.arange(len(rows)) - change) / over
    rows[:, 0] += size * np.clip(course, 0, 1)
    return known, rows, change


_ONSETS = {
    "independent, mean + 0.2 sd": (0.2, 1),
    "AR(1) 0.8, mean + 0.5 sd": (0.5, 1),
    "AR(1) 0.8, mean + 1 sd within 10,000 rows": (1.0, 10 * DAY),
}


def _loans(folder: Path) -> Path:
    return folder / "synthetic_car_loan.csv.gz"
