"""The points of a run as tables: what was measured, and how that stands to the targets."""

from statistics import median
from typing import Any, NamedTuple

Points = list[dict[str, Any]]


class Target(NamedTuple):
    """``ours`` over ``theirs`` must be at least (or, with ``most``, at most) ``limit``."""

    text: str
    model: str
    point: str
    field: str
    theirs: tuple[str, ...]
    limit: float
    most: bool = False


BENTOML, MLSERVER, LITSERVE = (
    (name, f"{name}, batched") for name in ("bentoml", "mlserver", "litserve")
)
SPEED = [
    Target("requests/s", model, "c16", "rps", peers, limit)
    for model, limits in {
        "logistic": (40, 6, 7, 7, 7),
        "forest": (50, 14, 7, 7, 7),
        "boosting": (30, 7, 7, 7, 7),
    }.items()
    for peers, limit in zip(
        (("mlflow",), ("fastapi",), BENTOML, MLSERVER, LITSERVE), limits, strict=True
    )
]
OTHERS = [
    Target("requests/s", "logistic", "c16", "rps", ("hello, 1 thread",), 0.4),
    Target(
        "p50 at one connection", "logistic", "c1", "p50_ms", ("mlflow, 1 worker",), 1 / 15, True
    ),
    Target("memory", "logistic", "c16", "pss_mb", ("mlflow",), 1 / 2, True),
    Target("memory", "forest", "c16", "pss_mb", ("mlflow",), 1 / 2, True),
    Target("start to first answer", "logistic", "c16", "start_s", ("mlflow",), 1 / 3, True),
    *(
        Target("rows/s, 1,000 a request", model, "bulk", "rows_s", peers, limit)
        for model in ("logistic", "forest", "boosting")
        for peers, limit in ((MLSERVER, 2.0), (("mlflow",), 15.0))
    ),
]


def render(points: Points, sizes: dict[str, int]) -> str:
    """Return the tables as markdown."""
    parts = ["## Targets", "", *_targets(points), ""]
    for model in dict.fromkeys(point["model"] for point in points):
        parts += [f"## {model}", "", *_model(points, model, sizes), ""]
    return "\n".join(parts) + "\n"


def _targets(points: Points) -> list[str]:
    lines = ["| what | model | against | target | measured (least to most) | |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for target in [*SPEED, *OTHERS]:
        lines += _ratio(points, target)
    lines += _alone(points, "server CPU µs a request", "logistic", "cpu_us", 220)
    quotients = [
        point["p99_ms"] / point["p50_ms"] for point in _of(points, "mlkit", "logistic", "c16")
    ]
    if quotients:
        lines.append(_line("p99 / p50 at 16", "logistic", "itself", 6, quotients, most=True))
    return lines


def _ratio(points: Points, target: Target) -> list[str]:
    ours = _of(points, "mlkit", target.model, target.point)
    rivals = {name: _of(points, name, target.model, target.point) for name in target.theirs}
    rivals = {name: found for name, found in rivals.items() if found}
    if not ours or not rivals:
        return []
    best = max if not target.most else min
    name = best(rivals, key=lambda each: median(p[target.field] for p in rivals[each]))
    ratios = [
        mine[target.field] / theirs[target.field]
        for mine, theirs in zip(ours, rivals[name], strict=False)
    ]
    return [_line(target.text, target.model, name, target.limit, ratios, most=target.most)]


def _alone(points: Points, text: str, model: str, field: str, limit: float) -> list[str]:
    values = [point[field] for point in _of(points, "mlkit", model, "c16")]
    return [_line(text, model, "-", limit, values, most=True)] if values else []


def _line(
    text: str, model: str, rival: str, limit: float, values: list[float], *, most: bool
) -> str:
    middle = median(values)
    met = middle <= limit if most else middle >= limit
    missed = abs(middle / limit - 1)
    verdict = "met" if met else f"missed by {missed:.0%}"
    sign = "≤" if most else "≥"
    spread = f"{middle:.3g} ({min(values):.3g} to {max(values):.3g})"
    return f"| {text} | {model} | {rival} | {sign} {limit:.3g} | {spread} | {verdict} |"


def _model(points: Points, model: str, sizes: dict[str, int]) -> list[str]:
    lines = [
        "| server | 1: p50 ms | 16: req/s | p50 | p99 | 64: req/s | p50 | p99 | bulk: rows/s "
        "| p50 | "
        "CPU µs/req (16) | start s | PSS MB | disk MB | off by | errors |",
        "|" + "---|" * 16,
    ]
    for server in dict.fromkeys(p["server"] for p in points if p["model"] == model):
        failed = _of(points, server, model, "failed")
        if failed:
            lines.append(f"| {server} | failed: {failed[0]['reason'][:80]} |" + " |" * 14)
            continue
        cells = [
            _middle(points, server, model, point, field)
            for point, field in (
                ("c1", "p50_ms"), ("c16", "rps"), ("c16", "p50_ms"), ("c16", "p99_ms"),
                ("c64", "rps"), ("c64", "p50_ms"), ("c64", "p99_ms"), ("bulk", "rows_s"),
                ("bulk", "p50_ms"), ("c16", "cpu_us"), ("c1", "start_s"), ("c1", "pss_mb"),
            )
        ]  # fmt: skip
        own = [p for p in points if p["server"] == server and p["model"] == model]
        cells.append(str(sizes.get(server.partition(",")[0].replace("hello", "mlkit"), "")))
        cells.append("" if own[0]["difference"] is None else f"{own[0]['difference']:.0e}")
        cells.append(str(sum(point.get("errors", 0) for point in own)))
        lines.append(f"| {server} | " + " | ".join(cells) + " |")
    return lines


def _of(points: Points, server: str, model: str, point: str) -> Points:
    return [
        found
        for found in points
        if (found["server"], found["model"], found["point"]) == (server, model, point)
    ]


def _middle(points: Points, server: str, model: str, point: str, field: str) -> str:
    values = [found[field] for found in _of(points, server, model, point)]
    if not values:
        return ""
    middle = median(values)
    return f"{middle:,.0f}" if middle >= 100 else f"{middle:.3g}"
