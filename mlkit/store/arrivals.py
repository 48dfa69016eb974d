"""A fixed-size sample of arrival times of actuals, for the estimate of the label delay."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mlkit.store.log_columns import Actual, Prediction


def sample(
    s: Session, model_id: int, since: datetime, until: datetime, *, places: int, rows: int
) -> list[tuple[datetime, datetime | None]]:
    """Return pairs of serving time and arrival time of the actual, None without one.

    The period is divided into ``places`` equal intervals; the first ``rows`` rows of each are read
    by the index, so the cost does not depend on the length of the log.
    """
    ends = [
        s.scalar(
            select(end(Prediction.served_at)).where(
                Prediction.model_id == model_id, Prediction.served_at.between(since, until)
            )
        )
        for end in (func.min, func.max)
    ]  # one query each: a combined one would not use the index
    first, last = ends
    if first is None or last is None:
        return []
    step = (last - first) / places + timedelta(microseconds=1)
    found: list[tuple[datetime, datetime | None]] = []
    for place in range(places):
        query = (
            select(Prediction.served_at, Actual.received_at)
            .outerjoin(Actual, Actual.prediction_id == Prediction.id)
            .where(
                Prediction.model_id == model_id,
                Prediction.served_at >= first + place * step,
                Prediction.served_at < first + (place + 1) * step,
            )
            .order_by(Prediction.served_at)
            .limit(rows)
        )
        found += [(served, received) for served, received in s.execute(query)]
    return found
