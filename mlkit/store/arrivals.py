"""When actuals came, by a sample of the log that costs the same however long the log is."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mlkit.store.log_columns import Actual, Prediction


def sample(
    s: Session, model_id: int, since: datetime, until: datetime, *, places: int, rows: int
) -> list[tuple[datetime, datetime | None]]:
    """Return when predictions were served and when their actual was received, None without one.

    Of ``places`` equal stretches of time the first ``rows`` each are looked up, by the index.
    """
    ends = [
        s.scalar(
            select(end(Prediction.served_at)).where(
                Prediction.model_id == model_id, Prediction.served_at.between(since, until)
            )
        )
        for end in (func.min, func.max)
    ]  # one by one: together they are no look-up in the index
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
