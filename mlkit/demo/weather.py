"""The weather at the airports: a dataset of its own, and the feature view that flights get it by.

It is joined to what is learned from as of each flight, and looked up when a flight is asked about:
who asks does not send it.
"""

import pyarrow as pa
import pyarrow.parquet as pq

from mlkit.demo import flights
from mlkit.demo.stage import Stage
from mlkit.flows.data import ingest
from mlkit.flows.features import declarations, materialize, view_rows
from mlkit.steps.features import point_in_time

DATASET, VIEW = "weather", "weather_at_origin"
FILE = "weather.parquet"


def publish(stage: Stage, month: int, weather: pa.Table) -> None:
    """Make the weather of ``month`` the newest version of the dataset.

    What is measured later in the month is in it, and nobody sees it before its time.
    """
    file = stage.project.root / FILE
    pq.write_table(flights.shifted(flights.of_month(weather, month), stage.shift), file)
    ingest.add(stage.project, DATASET, file, time=flights.TIME)


def refresh(stage: Stage) -> None:
    """Bring what has been measured by now into the online store, as the job materialize does."""
    materialize.materialize(stage.project, (VIEW,))


def joined(stage: Stage, departures: pa.Table) -> pa.Table:
    """Return flights of the published month with their weather, by the path of the training."""
    declared = declarations.load(stage.project)
    rows = view_rows.compute(stage.project, declared, declared.view(VIEW))
    index = point_in_time.index(rows.table, rows.use)
    chunks = point_in_time.sliced(departures)
    return pa.concat_tables(point_in_time.join(chunks, [index], flights.TIME))
