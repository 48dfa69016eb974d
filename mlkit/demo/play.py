"""Play the year: January teaches, every later month is served, judged and learned from."""

import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from mlkit.demo import flights, page, report, traffic, upkeep, weather
from mlkit.demo.client import Client
from mlkit.demo.served import serving
from mlkit.demo.stage import (
    LAST_MONTH,
    LAST_WEEK,
    MODEL,
    Stage,
    built,
    learn,
    refuse_occupied,
)
from mlkit.demo.story import Month, Requests, Story, Voice
from mlkit.demo.upkeep import Upkeep
from mlkit.errors import MlkitError
from mlkit.flows.monitoring import report as flow
from mlkit.flows.registry.deploy import Loaded
from mlkit.pages import model
from mlkit.steps.inputs import encode
from mlkit.store import registry

MONTHS = range(2, LAST_MONTH + 1)
REPORT = "report.html"
MODEL_PAGE = f"report-{MODEL}.html"
SERVER_OUTPUT = "log/server.log"
_MEANWHILE_ROWS = 100


@dataclass(frozen=True)
class _Cast:
    """Who plays: two clients of the server, and v1, which stays as it was."""

    traffic: Client
    background: Client
    frozen: Loaded
    swaps_s: list[float] = field(default_factory=list)

    def requests(self) -> Requests:
        """Return what both clients have sent."""
        return Requests(
            sent=self.traffic.sent + self.background.sent,
            failed=self.traffic.failed + self.background.failed,
            meanwhile=self.background.sent,
        )


def play(root: Path, *, rows: int | None, seed: int, voice: Voice) -> Story:
    """Make a project in ``root``, play the year on it and return what happened.

    ``rows`` flights of each month are drawn with ``seed``; None takes them all. Raises MlkitError.
    """
    started = time.monotonic()
    refuse_occupied(root)
    voice.now("reading the flights of 2013", 0.0)
    year = flights.read(flights.folder())
    upkeep.warm_up()
    with upkeep.quiet_alerts(), built(root.resolve()) as stage:
        voice.now("training v1 on January", 0.0)
        january = flights.shifted(flights.of_month(year.flights, 1), stage.shift)
        weather.publish(stage, 1, year.weather)
        frozen = learn(stage, january)
        voice.say(f"January: v1 learned from {len(january):,} flights")
        voice.now("starting the server", 0.0)
        output = stage.project.root / SERVER_OUTPUT
        with (
            serving(stage.project.root, stage.environment, output) as port,
            closing(Client(port, MODEL)) as asker,  # a server waits for connections that are open
            closing(Client(port, MODEL)) as background,
        ):
            cast = _Cast(asker, background, frozen)
            months = []
            for month in MONTHS:
                weather.publish(stage, month, year.weather)
                whole = flights.of_month(year.flights, month)
                table = flights.sample(whole, rows, seed=(seed, month))
                table = flights.shifted(table, stage.shift)
                months.append(_play_month(stage, cast, table, month, voice))
            _look_back(stage, voice)
        return _tell(stage, cast, tuple(months), time.monotonic() - started)


def _play_month(stage: Stage, cast: _Cast, table: pa.Table, month: int, voice: Voice) -> Month:
    begun = MONTHS.index(month)

    def tell(text: str, share: float) -> None:
        voice.now(f"{text} of {flights.month_name(month)}", (begun + share) / len(MONTHS))

    def fly(part: pa.Table) -> np.ndarray:
        return traffic.fly(
            stage.clock,
            cast.traffic,
            part,
            measure=lambda: weather.refresh(stage),
            progress=lambda share: tell("flights", 0.6 * share),
        )

    judged = stage.upkeep_at(month)
    before, later = flights.split(table, judged)
    live = fly(before)
    tell("jobs", 0.6)
    done = _keep_up(stage, cast, before, judged)
    table = weather.joined(stage, table)
    result = _measure(cast.frozen, table, np.concatenate([live, fly(later)]), month, done)
    voice.say(report.line(result))
    return result


def _keep_up(stage: Stage, cast: _Cast, asked: pa.Table, after: datetime) -> Upkeep:
    """Run the jobs of a month and remember how fast a promotion was."""
    rows = asked.select(flights.KNOWN).slice(0, _MEANWHILE_ROWS).to_pylist()
    cast.traffic.close()  # a server may end a connection that was quiet for long
    done = upkeep.run_jobs(stage, cast.traffic, background=cast.background, rows=rows, after=after)
    cast.traffic.close()
    if done.taken_up_s is not None:
        cast.swaps_s.append(done.taken_up_s)
    return done


def _look_back(stage: Stage, voice: Voice) -> None:
    """Judge the last week, which the last champion has served."""
    voice.now("checks of the last week", 1.0)
    checked = upkeep.run_checks(stage, stage.month_start(LAST_MONTH + 1))
    voice.say("\n  ".join([f"The last {LAST_WEEK.days} days, after that:", *checked]))


def _measure(frozen: Loaded, table: pa.Table, live: np.ndarray, month: int, done: Upkeep) -> Month:
    """Return the row of the month: both errors over the flights that were answered."""
    answered = np.isfinite(live)
    if not answered.any():
        raise MlkitError(f"the server answered none of the requests of month {month}")
    matrix = encode.matrix_of_table(frozen.schema, table)
    then = np.array(frozen.predictor.predict(matrix).values, dtype=float)
    took = table[flights.TARGET].to_numpy()
    return Month(
        month=month,
        rows=len(table),
        mae_live=float(np.abs(live - took)[answered].mean()),
        mae_frozen=float(np.abs(then - took)[answered].mean()),
        drift=done.drift,
        drifted=done.drifted,
        diagnosis=done.diagnosis,
        alerts=done.alerts,
        action=done.action,
        version=done.version,
        reason=done.reason,
    )


def _tell(stage: Stage, cast: _Cast, months: tuple[Month, ...], seconds: float) -> Story:
    """Return the story of the year, and leave its report in the project."""
    project = stage.project
    with project.read() as s:
        versions = registry.get_model(s, MODEL).versions
        count, first = len(versions), float(versions[0].metrics["mae"])
    story = Story(
        months=months,
        requests=cast.requests(),
        versions=count,
        project=project.root,
        report=project.root / REPORT,
        model_page=project.root / MODEL_PAGE,
        mae_january=first,
        slowest_swap_s=max(cast.swaps_s, default=0.0),
        seconds=seconds,
    )
    story.report.write_text(page.render(story), encoding="utf-8")
    story.model_page.write_text(model.render(flow.read(project, MODEL)), encoding="utf-8")
    return story
