"""The rows that a retraining learns from: which of the log, which of the source, and how recorded.

What is decided here by the clock and the state of the log is written down, so that ``remake``
makes the same rows again whatever has come since.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import CheckFailedError, ConflictError, InvalidInputError
from mlkit.flows.log import judged_rows, logs, maturity, unknown_labels
from mlkit.flows.log.evidence import Window
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.provenance import Log
from mlkit.steps.reading import frames
from mlkit.steps.tables import dtypes, duplicates, entity_keys
from mlkit.store.datasets import Dataset
from mlkit.store.registry import ModelVersion


class Picked(NamedTuple):
    """Rows of the log with ripe actuals; ``left_out`` counts the others that have one, by cause.

    ``until`` is when the last of them was served, None if the whole window is ripe.
    """

    rows: pa.Table
    left_out: dict[str, int]
    until: datetime | None
    warnings: tuple[str, ...]


def pick(project: Project, champion: ModelVersion, window: Window, like: pa.Schema) -> Picked:
    """Return the logged rows of a window that may be learned from, by a dataset ``like`` that.

    Actuals that come first are no fair sample, so rows whose actuals are still coming are left out
    (``maturity``); so are labels that the champion does not know, what is logged twice, and rows
    without an entity where the dataset must have one (``as_dataset``).
    """
    model = champion.model.name
    logged = logs.read(project, model, start=window.start, end=window.end)
    once = logged.take(duplicates.firsts(logged.select(["_id"])))
    ripe = maturity.pick(project, champion, window, once)
    answered = _answered(ripe.rows)
    known, unknown = unknown_labels.part(deploy.input_schema(champion), answered)
    usable, large = judged_rows.learnable(known)
    rows = _with_entity(usable, champion.dataset_version.dataset, like)
    left_out = {
        "duplicates": logged.num_rows - once.num_rows,
        "unripe": _answered(once).num_rows - answered.num_rows,
        "unknown_labels": sum(unknown.values()),
        "no_entity": usable.num_rows - rows.num_rows,
        **({"large_numbers": large} if large else {}),
    }
    warnings = [
        *_of_labels(champion, unknown),
        *_of_large(large),
        *_of_ripeness(ripe, left_out["unripe"]),
        *_of_entities(champion.dataset_version.dataset, left_out["no_entity"]),
    ]
    return Picked(rows, left_out, ripe.until, tuple(warnings))


def store(project: Project, rows: pa.Table) -> str:
    """Keep which predictions were picked, with their actuals as of now; return the digest."""
    part = project.data.scratch()
    try:
        frames.write_parquet(rows.select(["_id", "_actual"]), part)
        return project.data.adopt(part)
    finally:
        part.unlink(missing_ok=True)


def stored(project: Project, sha256: str) -> pa.Table:
    """Return what ``store`` has kept; raises DamagedError."""
    return frames.read_parquet(project.data.read(sha256))


def types(schema: pa.Schema) -> dict[str, str]:
    """Return the names and types of a dataset's columns, as a version records them."""
    return {field.name: dtypes.NAMES[field.type] for field in schema}


def from_log(project: Project, dataset: Dataset, made: Log) -> pa.Table:
    """Return the logged rows that were picked, with the actuals that they had then.

    Raises CheckFailedError if it is not recorded which, or the log has some of them no more.
    """
    if not made.picked:
        raise CheckFailedError("it is of a release that did not record which predictions it took")
    picked = stored(project, made.picked)
    start, end = (datetime.fromisoformat(moment) for moment in (made.start, made.end))
    logged = logs.read(project, made.model, start=start, end=end)
    places = pc.index_in(picked["_id"], logged["_id"])
    if places.null_count:
        raise CheckFailedError(
            f"{places.null_count:,} of {picked.num_rows:,} predictions are in the log of "
            f"{made.model} no more (setting log.keep)"
        )
    rows = logged.take(places)
    index = rows.schema.get_field_index("_actual")
    rows = rows.set_column(index, "_actual", picked["_actual"])
    like = pa.schema([(name, dtypes.BY_NAME[kind]) for name, kind in made.types.items()])
    return as_dataset(rows, dataset, like)


def combine(
    dataset: Dataset, base: pa.Table | None, logged: pa.Table | None, since: datetime | None
) -> tuple[pa.Table, int]:
    """Return the source's rows since a moment, then the logged ones, and how many were repeats.

    Where a time or an entity tells rows apart, equal rows are one; without either, two customers
    may well be alike.
    """
    tables = [] if base is None else [_since(base, dataset, since)]
    tables += [] if logged is None else [logged]
    table = pa.concat_tables(tables, promote_options="permissive")
    if dataset.time_column is None and dataset.entity_column is None:
        return table, 0
    kept = duplicates.firsts(table)
    return table.take(kept), table.num_rows - len(kept)


def as_dataset(logged: pa.Table, dataset: Dataset, like: pa.Schema) -> pa.Table:
    """Return logged rows with the columns and types of a dataset: features, roles and target.

    The time of a row is when it was asked for; a row without an entity is an entity of its own,
    where entities are texts. Raises ConflictError if the dataset's time is no point in time.
    """
    if _are_texts(dataset, like):
        entity = pc.coalesce(logged.column("_entity"), logged.column("_id"))
        logged = logged.set_column(logged.schema.get_field_index("_entity"), "_entity", entity)
    sources = {dataset.target: "_actual", dataset.entity_column: "_entity"}
    if dataset.time_column is not None:
        if not pa.types.is_timestamp(like.field(dataset.time_column).type):
            raise ConflictError(
                f"the time column '{dataset.time_column}' of dataset '{dataset.name}' holds no "
                "points in time, so the log cannot fill it; retrain with --data source"
            )
        sources[dataset.time_column] = "_served_at"
    present = set(logged.column_names)
    names = [name for name in like.names if sources.get(name, name) in present]
    columns = [_cast(logged.column(sources.get(name, name)), like.field(name)) for name in names]
    return pa.table(dict(zip(names, columns, strict=True)))


def _answered(rows: pa.Table) -> pa.Table:
    return rows.filter(rows["_actual"].is_valid())


def _are_texts(dataset: Dataset, like: pa.Schema) -> bool:
    """Tell whether any text is an entity of the dataset; it may have none at all."""
    return dataset.entity_column is None or like.field(dataset.entity_column).type == dtypes.TEXT


def _with_entity(rows: pa.Table, dataset: Dataset, like: pa.Schema) -> pa.Table:
    """Return the rows whose entity is one: as clients gave it, it is a text, if they gave any."""
    if _are_texts(dataset, like):
        return rows
    wanted = like.field(dataset.entity_column).type
    texts = rows.column("_entity").combine_chunks().dictionary_encode()
    readable = pa.array([_reads_as(text, wanted) for text in texts.dictionary], pa.bool_())
    return rows.filter(pc.fill_null(readable.take(texts.indices), fill_value=False))


def _reads_as(text: pa.Scalar, wanted: pa.DataType) -> bool:
    if wanted == dtypes.INTEGER:
        return text.is_valid and entity_keys.integer(text.as_py()) is not None
    try:
        return bool(text.cast(wanted).is_valid)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False


def _of_entities(dataset: Dataset, without: int) -> list[str]:
    if not without:
        return []
    return [
        f"no_entity: {without:,} rows with an actual were asked for without a value that "
        f"'{dataset.entity_column}' of dataset '{dataset.name}' can have (entity_ids); they are "
        "left out"
    ]


def _of_large(rows: int) -> list[str]:
    if not rows:
        return []
    return [f"large_numbers: {rows:,} rows with a number that no model can learn are left out"]


def _of_labels(champion: ModelVersion, unknown: Mapping[str, int]) -> list[str]:
    """Return what to say of rows whose label the champion does not know."""
    if not unknown:
        return []
    name = champion.dataset_version.dataset.name
    how = f"; they are left out: to learn a new class, add rows with it (mlkit data add {name})"
    return [unknown_labels.warning(unknown) + how]


def _of_ripeness(ripe: maturity.Ripe, unripe: int) -> list[str]:
    if unripe and ripe.until is not None:
        took = ripe.delay.p90_s
        often = "" if took is None else f" (90 % of them take {maturity.length(took)})"
        return [
            f"unripe: {unripe:,} rows with an actual, served after {ripe.until:%Y-%m-%d %H:%M:%SZ},"
            f" are left out: other actuals of that time are still coming{often}, and those that "
            "come first are no fair sample"
        ]
    if ripe.maturity is None and ripe.rows.num_rows:
        return [
            "label_delay_unknown: the log is too young to tell how long actuals take, so the rows "
            "that have one may be no fair sample of all"
        ]
    return []


def _since(base: pa.Table, dataset: Dataset, since: datetime | None) -> pa.Table:
    if since is None:
        return base
    name = dataset.time_column
    if name is None or not pa.types.is_timestamp(base.schema.field(name).type):
        raise InvalidInputError(
            f"dataset '{dataset.name}' has no column of times, so no window of it can be chosen "
            "(setting retrain.source_window); add it once more with --time COLUMN"
        )
    newer = pc.greater_equal(base.column(name), pa.scalar(since, dtypes.DATETIME))
    return base.filter(pc.fill_null(newer, fill_value=False))


def _cast(values: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Return ``values`` in the dataset's type if nothing is lost; else its rules will object."""
    try:
        return values.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # the rules name value and row
        return values
