import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.steps.inputs import values
from mlkit.steps.inputs.values import READERS, UnfitValueError


@pytest.mark.parametrize(
    ("kind", "value", "canonical"),
    [
        ("number", 3, 3.0),
        ("number", -2.5, -2.5),
        ("integer", 7, 7),
        ("integer", 7.0, 7),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("boolean", True, True),
        ("category", "Zürich", "Zürich"),
        ("datetime", "2026-03-01", "2026-03-01T00:00:00.000000Z"),
        ("datetime", "2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00.000000Z"),
        ("datetime", "0001-01-01T00:00:00", "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_a_fitting_value_becomes_canonical(kind: str, value: Any, canonical: Any) -> None:
    read = READERS[kind](value)
    assert (read, type(read)) == (canonical, type(canonical))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("number", "3"),
        ("datetime", "20260131"),
        ("number", True),
        ("number", math.nan),
        ("number", math.inf),
        ("number", 10**400),
        ("integer", 1.5),
        ("integer", True),
        ("integer", 2**63),
        ("integer", -(2**63) - 1),
        ("integer", 1e300),
        ("boolean", 1),
        ("boolean", "true"),
        ("category", 5),
        ("category", "\ud800"),
        ("category", ["a"]),
        ("datetime", 1_700_000_000),
        ("datetime", "yesterday"),
        ("datetime", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_an_unfit_value_is_refused_with_a_short_reason(kind: str, value: Any) -> None:
    with pytest.raises(UnfitValueError) as caught:
        READERS[kind](value)
    assert 0 < len(str(caught.value)) < 150


@settings(max_examples=50)
@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_the_way_through_text(moment: Any) -> None:
    text = values.moment(moment.isoformat())
    assert datetime.fromisoformat(text) == moment
    assert values.moment(text) == text
