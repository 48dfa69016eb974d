"""The work with mlkit: ``with_mlkit.py STEP FOLDER``."""

import sys
from pathlib import Path

import meter
import pandas as pd
import pyarrow as pa
from rows import VIEWS

from mlkit.flows.data import ingest
from mlkit.flows.features import declarations, joining, materialize, view_rows
from mlkit.flows.features.online import Online
from mlkit.project import Project, create_project, open_project
from mlkit.steps.features import output, point_in_time  # noqa: F401  # loaded before it counts

FEATURES = "from mlkit.features import feature_view\n" + "\n".join(
    f"@feature_view(source='{name}', entity='id', time='event_timestamp', ttl='{ttl}')\n"
    f"def {name}(rows):\n    return rows\n"
    for name, ttl in [*((view, "7d") for view in VIEWS), ("latest", "365d")]
)


def prepare(folder: Path) -> None:
    """Make a project with all rows and the declarations."""
    root = folder / "mlkit"
    root.mkdir()
    (root / "mlkit.toml").touch()
    project = create_project(root, environment={})
    for name in (*VIEWS, "latest", "asked"):
        ingest.add(project, name, folder / f"{name}.parquet", time="event_timestamp")
    (root / "features.py").write_text(FEATURES)
    project.close()


def materialise(project: Project, _folder: Path) -> None:
    """Bring the latest values into the store, after a view that does not count."""
    materialize.materialize(project, ["first"])
    _, cost = meter.step(lambda: materialize.materialize(project, ["latest"]))
    meter.tell(step="materialise", **cost)
    _, again = meter.step(lambda: materialize.materialize(project, ["latest"]))
    meter.tell(step="materialise again", **again)


def lookup(project: Project, folder: Path) -> None:
    """Look entities up, without a cache, and once more with it."""
    declared = declarations.load(project)
    use = view_rows.compute(project, declared, declared.view("latest")).use
    rows = len(pd.read_parquet(folder / "latest.parquet"))
    for cache in (0, rows):
        reader_of = Online(project, cache_rows=cache)
        reader = reader_of.reader(use)
        for count in (1, 100):
            wanted = meter.keys(rows, count)
            if cache:
                for some in wanted:
                    reader.lookup(some)
            found = meter.lookups(reader.lookup, wanted)
            meter.tell(step="look-up", entities=count, cached=bool(cache), **found)
        if cache:
            values = [one.features for one in reader.lookup(meter.keys(rows, 100, 1)[0])]
            meter.tell(step="values", values=values)
        reader_of.close()


def join(project: Project, folder: Path) -> None:
    """Join the views to the rows: in memory, as the other tool does."""
    asked = pd.read_parquet(folder / "asked.parquet")

    def joined() -> pd.DataFrame:
        declared = declarations.load(project)
        made = (view_rows.compute(project, declared, declared.view(name)) for name in VIEWS)
        indexes = [point_in_time.index(each.table, each.use) for each in made]
        table = pa.Table.from_pandas(asked, preserve_index=False)
        table = table.cast(
            pa.schema([("id", pa.int64()), ("event_timestamp", pa.timestamp("us", "UTC"))])
        )
        chunks = point_in_time.sliced(table)
        return pa.concat_tables(point_in_time.join(chunks, indexes, "event_timestamp")).to_pandas()

    found, cost = meter.best(joined)
    found.to_parquet(folder / "joined-mlkit.parquet")
    meter.tell(step="join", rows=len(found), **cost)


def store(project: Project, _folder: Path) -> None:
    """Join, check, profile and keep as a dataset version."""
    recipe = joining.Recipe("asked", VIEWS)
    _, cost = meter.step(lambda: joining.join(project, "joined", recipe))
    meter.tell(step="join and keep", **cost)


def main() -> None:
    """Do one step."""
    step, folder = sys.argv[1], Path(sys.argv[2])
    if step == "prepare":
        return prepare(folder)
    project = open_project(folder / "mlkit", environment={})
    {"materialise": materialise, "look-up": lookup, "join": join, "store": store}[step](
        project, folder
    )
    project.close()
    return None


if __name__ == "__main__":
    main()
