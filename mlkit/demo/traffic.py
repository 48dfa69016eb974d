"""The flights of one month, sent to the server as they leave and reported as they land."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from mlkit.demo import flights
from mlkit.demo.client import Client
from mlkit.demo.clock import Clock

_BATCH_ROWS = 25
_BATCHES = 4  # a day at least: the weather changes


class Departure(NamedTuple):
    """One flight: its place in the month, its time, what is known of it then, how long it took."""

    place: int
    at: datetime
    known: dict[str, Any]
    took: int


def fly(
    clock: Clock,
    client: Client,
    month: pa.Table,
    *,
    measure: Callable[[], None],
    progress: Callable[[float], None],
) -> np.ndarray:
    """Return the live answer to every flight, NaN where the request failed.

    The clock moves with the departures, and ``measure`` is called to bring the features of that
    time before they are asked about; at midnight the server is told how long the flights of
    the day really took. ``progress`` is given the share of the month that is over.
    """
    answers = np.full(len(month), np.nan)
    for _, day in groupby(departures(month), key=lambda departure: departure.at.date()):
        today = list(day)
        landed: dict[str, float] = {}
        size = min(_BATCH_ROWS, -(-len(today) // _BATCHES))
        for start in range(0, len(today), size):
            batch = today[start : start + size]
            clock.set(batch[-1].at)
            measure()
            landed |= _ask(client, batch, answers)
        clock.set(_midnight_after(today[-1].at))
        client.observe(landed)
        progress((today[-1].place + 1) / len(month))
    return answers


def departures(month: pa.Table) -> list[Departure]:
    """Return the flights of a month, first to leave first."""
    columns = (
        range(len(month)),
        month[flights.TIME].to_pylist(),
        month.select(flights.KNOWN).to_pylist(),
        month[flights.TARGET].to_pylist(),
    )
    return [Departure(*values) for values in zip(*columns, strict=True)]


def _ask(client: Client, batch: Sequence[Departure], answers: np.ndarray) -> dict[str, float]:
    """Put the answers into their places; return what will be known at night, by prediction id."""
    answer = client.predict([departure.known for departure in batch])
    if answer is None:
        return {}
    for departure, predicted in zip(batch, answer.predictions, strict=True):
        answers[departure.place] = predicted.value
    pairs = zip(batch, answer.predictions, strict=True)
    return {predicted.id: departure.took for departure, predicted in pairs}


def _midnight_after(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
