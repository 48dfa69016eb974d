"""The work with Feast: ``with_feast.py STEP FOLDER``; file offline store, SQLite online store."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import meter
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, Int64
from rows import VIEWS

TTL = {**dict.fromkeys(VIEWS, timedelta(days=7)), "latest": timedelta(days=365)}


def _store(folder: Path) -> FeatureStore:
    own = folder / "feast"
    return FeatureStore(
        config=RepoConfig(
            project="bench", provider="local", registry=str(own / "registry.db"),
            online_store={"type": "sqlite", "path": str(own / "online.db")},
            offline_store={"type": "file"}, entity_key_serialization_version=3,
        )
    )  # fmt: skip


def _columns(name: str) -> list[str]:
    return [f"{name}:{name}_{letter}" for letter in "abn"]


def prepare(folder: Path) -> None:
    """Register all views."""
    (folder / "feast").mkdir()
    entity = Entity(name="id", join_keys=["id"], value_type=ValueType.INT64)
    views = [
        FeatureView(
            name=name, entities=[entity], ttl=ttl,
            schema=[Field(name=f"{name}_a", dtype=Float64), Field(name=f"{name}_b", dtype=Float64),
                    Field(name=f"{name}_n", dtype=Int64)],
            source=FileSource(path=str(folder / f"{name}.parquet"),
                              timestamp_field="event_timestamp"),
        )
        for name, ttl in TTL.items()
    ]  # fmt: skip
    _store(folder).apply([entity, *views])


def materialise(store: FeatureStore, _folder: Path) -> None:
    """Bring the latest values into the online store, after a view that does not count."""
    end = datetime.now(UTC)

    def bring(view: str) -> None:
        store.materialize(end - timedelta(days=40), end, feature_views=[view])

    bring("first")
    _, cost = meter.step(lambda: bring("latest"))
    meter.tell(step="materialise", **cost)


def lookup(store: FeatureStore, folder: Path) -> None:
    """Look entities up."""
    rows = len(pd.read_parquet(folder / "latest.parquet"))
    columns = _columns("latest")

    def ask(wanted: list[int]) -> dict[str, Any]:
        found = store.get_online_features(
            features=columns, entity_rows=[{"id": key} for key in wanted]
        )
        answer: dict[str, Any] = found.to_dict()
        return answer

    for count, calls in ((1, 1000), (100, 200)):
        found = meter.lookups(ask, meter.keys(rows, count, calls))
        meter.tell(step="look-up", entities=count, cached=False, **found)
    got = ask(meter.keys(rows, 100, 1)[0])
    names = [name.partition(":")[2] for name in columns]
    meter.tell(step="values", values=list(zip(*(got[name] for name in names), strict=True)))


def join(store: FeatureStore, folder: Path) -> None:
    """Join the views to the rows; what it imports for that does not count."""
    store._get_provider()  # noqa: SLF001
    asked = pd.read_parquet(folder / "asked.parquet")
    names = [name for view in VIEWS for name in _columns(view)]

    def joined() -> pd.DataFrame:
        frame: pd.DataFrame = store.get_historical_features(entity_df=asked, features=names).to_df()
        return frame

    found, cost = meter.best(joined)
    found.to_parquet(folder / "joined-feast.parquet")
    meter.tell(step="join", rows=len(found), **cost)


def main() -> None:
    """Do one step."""
    step, folder = sys.argv[1], Path(sys.argv[2])
    if step == "prepare":
        prepare(folder)
    else:
        {"materialise": materialise, "look-up": lookup, "join": join}[step](_store(folder), folder)


if __name__ == "__main__":
    main()
