"""The charts stand where the numbers say, for one report and for two hundred."""

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.flows.monitoring.history import DriftPoint, Estimated, PerformancePoint
from mlkit.flows.monitoring.report import Served
from mlkit.pages import trend
from mlkit.pages.plane import LEFT, RIGHT, TOP, WIDTH

START = datetime(2026, 3, 1, tzinfo=UTC)
FINITE = st.floats(0, 1e300)


def _drift(day: float, **changes: Any) -> DriftPoint:
    usual: dict[str, Any] = {
        "version": 1, "verdict": "ok", "rows": 100, "feature": "age", "level": 0.5,
    }  # fmt: skip
    return DriftPoint(at=START + timedelta(days=day), **{**usual, **changes})


def _loss(day: float, **changes: Any) -> PerformancePoint:
    usual: dict[str, Any] = {
        "version": 1, "verdict": "ok", "metric": "mae", "value": 2.0, "low": 1.5, "high": 2.5,
        "reference": 1.8, "limit": 2.2, "rows": 50, "coverage": 0.5, "estimated": None,
    }  # fmt: skip
    return PerformancePoint(at=START + timedelta(days=day), **{**usual, **changes})


def _estimate(**changes: Any) -> Estimated:
    usual: dict[str, Any] = {
        "value": 2.4, "low": 2.1, "high": 2.7, "rows": 80, "trusted": True, "reason": "",
        "past_error": None,
    }  # fmt: skip
    return Estimated(**{**usual, **changes})


def _served(day: float, version: int) -> Served:
    return Served(
        version=version, at=START + timedelta(days=day), action="promote", actor="a", reason="r"
    )


def _read(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314  # our own


def _of(svg: ET.Element, kind: str) -> list[ET.Element]:
    return [each for each in svg.iter() if kind in (each.get("class") or "").split()]


def test_drift_has_another_shape_and_is_above_the_line() -> None:
    points = [_drift(0), _drift(1, verdict="drift", level=3.0),
              _drift(2, verdict="insufficient_data", level=None, feature=None)]  # fmt: skip
    svg = _read(trend.drift(points, []))
    (line,) = _of(svg, "limit")
    (bad,), (ok,), (unknown,) = (_of(svg, kind) for kind in ("bad", "ok", "unknown"))
    assert (bad.tag, ok.tag, unknown.tag) == ("polygon", "circle", "circle")
    places = [float(y) for y in re.findall(r",([\d.]+)", bad.attrib["points"])]
    assert max(places) < float(line.attrib["y1"]) < float(ok.attrib["cy"])
    assert "drift, age at 3 of the line" in (bad.findtext("title") or "")
    assert "insufficient data, 100 rows" in (unknown.findtext("title") or "")
    assert svg.get("aria-label", "").endswith("1 of 3 found drift")


def test_each_version_has_a_line_of_its_own_and_a_name_where_it_began() -> None:
    points = [_drift(day, version=1 + day // 5) for day in range(10)]
    svg = _read(trend.drift(points, [_served(-9, 0), _served(-3, 1), _served(5, 2)]))
    assert len(_of(svg, "series")) == 2
    marks = _of(svg, "version")
    assert [mark.text for mark in marks if mark.tag == "text"] == ["v1", "v2"]
    (line,) = [mark for mark in marks if mark.tag == "line"]
    begun = _of(svg, "ok")[5]
    assert line.attrib["x1"] == begun.attrib["cx"]


def test_names_of_versions_do_not_cover_each_other() -> None:
    points = [_drift(day) for day in range(100)]
    svg = _read(trend.drift(points, [_served(day, day) for day in range(100)]))
    marks = _of(svg, "version")
    names = [float(mark.attrib["x"]) for mark in marks if mark.tag == "text"]
    assert len([mark for mark in marks if mark.tag == "line"]) == 100
    assert 5 < len(names) < 30
    assert all(b - a >= 30 for a, b in itertools.pairwise(names))


@given(levels=st.lists(st.none() | st.floats(0, 1e300), min_size=1, max_size=30))
def test_any_levels_are_inside_the_frame(levels: list[float | None]) -> None:
    points = [_drift(day, level=level) for day, level in enumerate(levels)]
    svg = _read(trend.drift(points, []))
    dots = [*_of(svg, "ok"), *_of(svg, "unknown")]
    assert len(dots) == len(levels)
    for dot in dots:
        assert LEFT <= float(dot.attrib["cx"]) <= WIDTH - RIGHT
        assert TOP - 0.1 <= float(dot.attrib["cy"]) <= TOP + 190.1


def test_a_loss_has_its_interval_and_what_it_is_measured_by() -> None:
    points = [_loss(0), _loss(1, verdict="degraded", value=3.0, low=2.5, high=3.5)]
    svg = _read(trend.performance(points, []))
    assert len(_of(svg, "interval")) == 2
    (limit,), (holdout,) = _of(svg, "limit"), _of(svg, "reference")
    good, bad = _of(svg, "ok"), _of(svg, "bad")
    assert [mark.tag for mark in bad] == ["line", "polygon"]  # the interval has the same colour
    dot = next(mark for mark in good if mark.tag == "circle")
    assert float(limit.attrib["y1"]) < float(dot.attrib["cy"]) < float(holdout.attrib["y1"])
    assert len(_of(svg, "coverage")) == 2
    assert "degraded, mae 3 [2.5, 3.5] on 50 rows" in (bad[1].findtext("title") or "")


def test_a_new_version_has_a_new_limit() -> None:
    points = [_loss(0), _loss(1), _loss(2, version=2, limit=3.0, reference=2.9)]
    svg = _read(trend.performance(points, []))
    assert len({line.attrib["y1"] for line in _of(svg, "limit")}) == 2


def test_estimates_stand_beside_what_came_of_them() -> None:
    unsure = _estimate(trusted=False, reason="it is misspecified")
    points = [_loss(0, estimated=_estimate()), _loss(1, value=None, low=None, high=None,
              verdict="insufficient_data", estimated=unsure), _loss(2)]  # fmt: skip
    svg = _read(trend.performance(points, []))
    squares = [mark for mark in _of(svg, "estimate") if mark.tag == "rect"]
    assert len(squares) == 2
    assert "not to be trusted: it is misspecified" in (squares[1].findtext("title") or "")
    assert len(_of(svg, "estimate-line")) == 1
    assert len(list(_of(svg, "interval"))) == 4


@given(values=st.lists(st.none() | FINITE, min_size=1, max_size=9), limit=st.none() | FINITE)
def test_any_losses_make_a_chart(values: list[float | None], limit: float | None) -> None:
    points = [
        _loss(day, value=value, low=value, high=value, limit=limit)
        for day, value in enumerate(values)
    ]
    svg = _read(trend.performance(points, []))
    assert "nan" not in ET.tostring(svg, "unicode")
    assert "inf" not in ET.tostring(svg, "unicode")


@pytest.mark.parametrize("verdict", ["ok", "something_new"])
def test_one_report_alone_is_in_the_middle(verdict: str) -> None:
    svg = _read(trend.drift([_drift(0, verdict=verdict)], []))
    (dot,) = [*_of(svg, "ok"), *_of(svg, "unknown")]
    middle = (LEFT + WIDTH - RIGHT) / 2
    assert float(dot.attrib["cx"]) == pytest.approx(middle, abs=0.1)
