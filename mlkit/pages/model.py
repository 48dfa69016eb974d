"""The page of one model: current problems, their history, and the next steps."""

from typing import Final, NamedTuple

from markupsafe import Markup

from mlkit.flows.monitoring.report import ModelReport
from mlkit.flows.monitoring.spread import FeatureLine
from mlkit.pages import bars, html, trend

_UNFOLDED: Final = 12  # features shown without a click
_MOST_UNFOLDED: Final = 30  # of the drifted ones
_RESOLVED: Final = "resolved"


class _Shape(NamedTuple):
    """A distribution chart and its description."""

    picture: Markup
    said: str


def render(report: ModelReport) -> str:
    """Render the page."""
    lines = report.spread.features if report.spread else ()
    unfolded = _unfolded(lines)
    estimates = [p.estimated for p in report.performance if p.estimated]
    return html.render(
        "model.html",
        report=report,
        headline=_headline(report),
        open=[alert for alert in report.alerts if alert.status != _RESOLVED],
        drift_chart=trend.drift(report.drift, report.served) if report.drift else "",
        performance_chart=(
            trend.performance(report.performance, report.served) if report.performance else ""
        ),
        estimated=estimates[-1] if estimates else None,
        unfolded=unfolded,
        folded_drifted=sum(line.drifted for line in lines[unfolded:]),
        shapes={
            line.column: _Shape(
                bars.distribution(line.column, line.distribution),
                bars.described(line.distribution),
            )
            for line in lines
            if line.distribution
        },
        sparks={test.name: bars.spark(test.history) for line in lines for test in line.tests[:1]},
    )


def _unfolded(lines: tuple[FeatureLine, ...]) -> int:
    drifted = sum(line.drifted for line in lines)
    return max(_UNFOLDED, min(drifted, _MOST_UNFOLDED))


def _headline(report: ModelReport) -> str:
    """Return the verdicts in a text short enough for a browser tab."""
    return ", ".join(
        f"{advice.kind} {'not checked' if advice.verdict == 'none' else advice.verdict}".replace(
            "_", " "
        )
        for advice in report.verdicts
    )
