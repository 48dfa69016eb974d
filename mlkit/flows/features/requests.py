"""Complete the rows of requests with the features that clients may leave out.

One instance per loaded version, used by the server and by ``mlkit predict``.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET

from mlkit.flows.features import computed, feature_plan
from mlkit.flows.features.computed import Computed
from mlkit.flows.features.feature_plan import FeaturePlan
from mlkit.flows.features.looked_up import LookedUp, Problem, Rowlike, Tally
from mlkit.flows.features.online import Online
from mlkit.flows.registry import input_schema
from mlkit.project import Project
from mlkit.provenance import ViewUse
from mlkit.steps.inputs import encode, values
from mlkit.steps.inputs.columns import KINDS, Column, InputSchema
from mlkit.steps.inputs.rows import Reader, Rows
from mlkit.steps.tables import dtypes
from mlkit.store.datasets import DatasetVersion
from mlkit.store.registry import ModelVersion

if TYPE_CHECKING:
    import pyarrow as pa

Ids = Sequence[str | int | None]


class Completed(NamedTuple):
    """Complete rows in the order of the schema, and the entity of each row if given."""

    rows: Rows
    entity_ids: Ids | None


class Wanted(NamedTuple):
    """The features that a version needs beyond the columns that clients must send.

    ``sources`` maps each column that may be left out to its source; ``keys`` are look-up keys that
    are no inputs of the model.
    """

    sources: dict[str, str]
    keys: tuple[Column, ...]
    time: str | None


class RequestFeatures:
    """Fills the rows of requests to one version; ``reader`` reads them.

    Values given by a row take precedence. ``takes`` are all columns that a row may have.
    """

    def __init__(
        self, project: Project, online: Online, schema: InputSchema, plan: FeaturePlan, need: Wanted
    ) -> None:
        """Load the functions; raises ConflictError or NotFoundError if they have changed."""
        self.plan = plan
        self._max_chars = project.settings.server.max_text_chars
        self.reader = Reader(
            schema, optional=need.sources, keys=need.keys, max_chars=self._max_chars
        )
        self.takes = msgspec.structs.replace(schema, columns=self.reader.known)
        self._optional = {*need.sources, *(column.name for column in need.keys)}
        places = {column.name: place for place, column in enumerate(self.reader.known)}
        self._width = len(schema.columns)
        self._entity_place = places.get(plan.entity or "")
        self._views = [
            LookedUp(online, use, schema, places, by_id=use.entity == plan.entity)
            for use in plan.views
        ]
        given = computed.inputs(plan.on_demand, self.reader.known, need.time, plan.dataset)
        functions = feature_plan.transformations(project, plan)
        self._computed = Computed(plan.on_demand, functions, schema, places, given)

    def complete(
        self,
        rows: Rows,
        entity_ids: Ids | None,
        now: datetime,
        tally: Tally,
        *,
        first_row: int = 0,
    ) -> Completed:
        """Return ``rows`` (as ``reader`` gives them) completed as of ``now``.

        ``tally`` is updated, even if this raises: InvalidInputError with row, view and entity if no
        entity is given or a view refuses, BusyError if the database cannot be read.
        """
        table = [list(row) for row in rows]
        problems: list[Problem] = []
        self._name_entities(table, entity_ids, first_row)
        for view in self._views:
            problems += view.fill(table, now, tally)
        _refuse(problems, first_row)
        self._computed.fill(table, now)
        width = self._width
        whole: Rows = [tuple(row[:width]) for row in table]
        return Completed(whole, entity_ids if entity_ids is not None else self._entities(table))

    def columns_of_table(
        self, table: "pa.Table", now: datetime, *, first_row: int = 0
    ) -> list[list[object]]:
        """Complete the rows of a table, column by column; raises like ``complete``."""
        there = tuple(c for c in self.takes.columns if self._is_needed(c.name, table))
        present = msgspec.structs.replace(self.takes, columns=there)
        given = encode.columns_of_table(
            present, table, first_row=first_row, max_chars=self._max_chars
        )
        by_name = dict(zip(present.names, given, strict=True))
        nothing = [UNSET] * table.num_rows
        rows = zip(*(by_name.get(name, nothing) for name in self.takes.names), strict=True)
        whole = self.complete(list(rows), None, now, {}, first_row=first_row).rows
        return [[row[place] for row in whole] for place in range(self._width)]

    @property
    def keys(self) -> frozenset[str]:
        """The columns by which features are looked up."""
        return frozenset(use.entity for use in self.plan.views)

    def _is_needed(self, name: str, table: "pa.Table") -> bool:
        return name in table.column_names or name not in self._optional

    def note_given(self, count: int, tally: Tally) -> None:
        """Count ``count`` rows that were complete."""
        for view in self._views:
            tally.setdefault(view.use.name, Counter())["given"] += count

    def _name_entities(self, table: Rowlike, ids: Ids | None, first_row: int) -> None:
        """Put the entity ids of the request into their column.

        Raises InvalidInputError for an id of another type than the column, and for one that
        contradicts the row.
        """
        place = self._entity_place
        if ids is None or place is None:
            return
        column = self.reader.known[place]
        problems: list[Problem] = []
        for at, (row, entity) in enumerate(zip(table, ids, strict=True)):
            try:
                read = values.READERS[column.kind]
                said = None if entity is None else read(_as_key(entity, column))
            except values.UnfitValueError as error:
                problems.append({"row": at, "column": column.name, "problem": str(error)})
                continue
            if row[place] is UNSET:
                row[place] = said
            elif row[place] != said:
                problem = f"the row says {row[place]!r:.40}, entity_ids say {entity!r:.40}"
                problems.append({"row": at, "column": column.name, "problem": problem})
        _refuse(problems, first_row)

    def _entities(self, table: Rowlike) -> Ids | None:
        place = self._entity_place
        if place is None or all(row[place] is UNSET for row in table):
            return None
        return [None if row[place] is UNSET else row[place] for row in table]


def of(project: Project, online: Online, version: ModelVersion) -> RequestFeatures | None:
    """Return the features for requests to ``version``, None if all columns must be sent.

    Raises ConflictError or NotFoundError if ``features.py`` is not that of the training.
    """
    schema = input_schema.of(version)
    found = wanted(project, version)
    return None if found is None else RequestFeatures(project, online, schema, *found)


def wanted(project: Project, version: ModelVersion) -> tuple[FeaturePlan, Wanted] | None:
    """Return the plan of a version and its requirements, None if there is no plan."""
    with project.read() as s:
        rows = s.get_one(DatasetVersion, version.dataset_version_id)
        plan = feature_plan.of(s, rows)
        if plan is None:
            return None
        types = {column["name"]: column["type"] for column in rows.profile["columns"]}
        time = rows.dataset.time_column
    schema = input_schema.of(version)
    return plan, Wanted(sources(schema, plan), _keys(schema, plan, types, time), time)


def sources(schema: InputSchema, plan: FeaturePlan) -> dict[str, str]:
    """Return the columns that a client may leave out, each with its source."""
    found = {
        name: f"feature view '{use.name}' by {use.entity}"
        for use in plan.views
        for name in use.columns
    }
    found |= {
        name: f"on-demand transformation '{use.name}'"
        for use in plan.on_demand
        for name in use.columns
    }
    return {name: found[name] for name in schema.names if name in found}


def with_gaps(project: Project, version: DatasetVersion, schema: InputSchema) -> InputSchema:
    """Return the schema of a model on ``version`` that allows the nulls that serving may fill in.

    A column of a view without a default is null for an entity that the view does not know, even if
    none was unknown in training.
    """
    with project.read() as s:
        plan = feature_plan.of(s, s.get_one(DatasetVersion, version.id))
    gaps = set() if plan is None else {name for use in plan.views for name in may_be_null(use)}
    columns = tuple(
        msgspec.structs.replace(column, nullable=True) if column.name in gaps else column
        for column in schema.columns
    )
    return msgspec.structs.replace(schema, columns=columns)


def computed_from(project: Project, version: DatasetVersion) -> dict[str, str]:
    """Return the columns that every request must have, each with its transformation."""
    with project.read() as s:
        plan = feature_plan.of(s, s.get_one(DatasetVersion, version.id))
    uses = () if plan is None else plan.on_demand
    made = {name for use in uses for name in use.columns}
    keys = {version.dataset.time_column, version.dataset.entity_column}
    return {name: use.name for use in uses for name in use.inputs if name not in made | keys}


def may_be_null(use: ViewUse) -> Collection[str]:
    """Return the columns of a view that are null for an entity without values."""
    if use.on_missing == "refuse":
        return ()
    defaults = use.on_missing if isinstance(use.on_missing, dict) else {}
    return [name for name in use.columns if defaults.get(name) is None]


def _keys(
    schema: InputSchema, plan: FeaturePlan, types: Mapping[str, str], time: str | None
) -> tuple[Column, ...]:
    """Return the look-up keys of features that are no inputs of the model."""
    keys: dict[str, str] = {use.entity: use.key for use in plan.views}
    if plan.entity is not None and any(plan.entity in use.inputs for use in plan.on_demand):
        keys.setdefault(plan.entity, types.get(plan.entity, "text"))
    return tuple(
        Column(name=name, kind=KINDS[dtypes.BY_NAME[dtype]], nullable=True)
        for name, dtype in keys.items()
        if name not in schema.names and name != time
    )


def _as_key(entity: str | int, column: Column) -> str | int:
    """Return an entity id in the type of its column: a number as digits if keys are text."""
    is_number = isinstance(entity, int) and not isinstance(entity, bool)
    return str(entity) if is_number and column.kind == "category" else entity


def _refuse(problems: Sequence[Problem], first_row: int) -> None:
    """Raise InvalidInputError if there are problems, with rows counted from ``first_row``."""
    encode.refuse([{**each, "row": int(str(each["row"])) + first_row} for each in problems])
