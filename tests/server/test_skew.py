"""Served as trained, over HTTP: equal, late or skewed, as ``mlkit features test`` says."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from mlkit.cli.root import cli as root_command

ROWS = [{"origin": "JFK", "km": 5.0}, {"origin": "LGA", "km": 7.5}]
FUNCTION = 'return weather[["origin", "hour", "temp", "seen_at"]]'


def _verdict(featured: Any, code: int) -> dict[str, tuple[int, int, int]]:
    """Run ``mlkit features test`` and return rows equal, lagging and skewed, by view."""
    words = ["--project", str(featured.project.root), "features", "test", "--json"]
    done = CliRunner().invoke(root_command, words)
    assert done.exit_code == code, done.output
    (model,) = json.loads(done.stdout)["skew"]
    found = [*model["views"], *model["on_demand"]]
    return {v["view"]: (v["equal"], v["lagging"], v["skewed"]) for v in found}


def _shares(*found: tuple[int, int, int]) -> dict[str, tuple[int, int, int]]:
    return dict(zip(("weather_at_origin", "rider_so_far", "shape"), found, strict=True))


def test_what_is_served_is_what_was_learned_or_it_is_told_why_not(
    featured: Any, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLKIT_CLOCK", str(featured.project.root / "now"))
    featured.at("2026-02-20T12:10:00+00:00")
    featured.materialize()
    server = serve(featured.project.root, "--workers", "1", environment=os.environ)
    asked = server.predict(*ROWS, model="trips", entity_ids=[3, 11])
    assert (asked.status, asked.body["version"]) == (200, 1)
    assert _verdict(featured, 0) == {
        "weather_at_origin": (2, 0, 0),
        "rider_so_far": (2, 0, 0),
        "shape": (2, 0, 0),
    }

    featured.at("2026-02-20T13:05:00+00:00")  # the weather of 13:00 is there, and nobody has looked
    assert server.predict(ROWS[0], model="trips", entity_ids=[3]).status == 200
    assert _verdict(featured, 0) == {
        "weather_at_origin": (2, 1, 0),
        "rider_so_far": (3, 0, 0),
        "shape": (3, 0, 0),
    }

    featured.declare(FUNCTION, f"weather['temp'] += 1\n    {FUNCTION}")
    assert _verdict(featured, 3) == {
        "weather_at_origin": (0, 0, 3),
        "rider_so_far": (3, 0, 0),
        "shape": (3, 0, 0),
    }

    featured.declare(f"weather['temp'] += 1\n    {FUNCTION}", FUNCTION)
    featured.declare("(30 - ", "(25 - ")
    assert _verdict(featured, 3)["shape"] == (0, 0, 3)

    featured.declare("(25 - ", "(30 - ")
    featured.declare(FUNCTION, f'{FUNCTION}.rename(columns={{"temp": "heat"}})')
    assert "weather_at_origin" not in _verdict(featured, 3)
