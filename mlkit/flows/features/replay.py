"""Training-serving skew: compare logged features with those of the training path."""

from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from mlkit import epoch
from mlkit.errors import MlkitError
from mlkit.flows.features import feature_plan, replay_on_demand, view_rows
from mlkit.flows.features.declarations import Declared
from mlkit.flows.features.feature_plan import FeaturePlan
from mlkit.flows.log import logs
from mlkit.flows.registry import champions
from mlkit.project import Project
from mlkit.provenance import ViewUse
from mlkit.settings.table import duration
from mlkit.steps.features import point_in_time, skew
from mlkit.steps.features.skew import Served, Skew
from mlkit.steps.tables import entity_keys
from mlkit.store import deployments, registry
from mlkit.store.registry import ModelVersion


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The newest logged rows of a model, by view and by transformation.

    ``skipped`` says which could not be compared, ``lost`` which columns the same version no longer
    produces.
    """

    model: str
    version: int
    dataset: str
    rows: int
    views: tuple[Skew, ...]
    on_demand: tuple[Skew, ...]
    skipped: tuple[str, ...]
    lost: tuple[str, ...] = ()

    @property
    def skewed(self) -> int:
        """The number of rows whose values differ from those of training, summed over the views."""
        return sum(each.skewed for each in (*self.views, *self.on_demand))


class _Asked(NamedTuple):
    """A champion and the facts about its training dataset that a replay needs."""

    model: str
    version: int
    plan: FeaturePlan
    time: str | None
    entity_type: str


def replay(project: Project, declared: Declared, *, lag: str, rows: int) -> list[Replayed]:
    """Compare the newest ``rows`` logged rows of each champion with the point-in-time join.

    Champions without features from views or transformations are skipped. A difference is tolerated
    if the join as of up to ``lag`` earlier gives the served value: then the event had not been
    materialised yet.
    """
    found = []
    for model in champions.names(project):
        with project.read() as s:
            current = deployments.champion(s, registry.get_model(s, model))
            plan = None if current is None else feature_plan.of(s, current.version.dataset_version)
            if current is None or plan is None:
                continue
            asked = _Asked(model, current.version.number, plan, *_columns(current.version))
        found.append(_one(project, declared, asked, lag=lag, rows=rows))
    return found


def _columns(version: ModelVersion) -> tuple[str | None, str]:
    """Return the time column of the training dataset, and the type of its entity column."""
    rows = version.dataset_version
    types = {column["name"]: column["type"] for column in rows.profile["columns"]}
    return rows.dataset.time_column, types.get(rows.dataset.entity_column, "text")


def _one(project: Project, declared: Declared, asked: _Asked, *, lag: str, rows: int) -> Replayed:
    plan = asked.plan
    logged = logs.newest(project, asked.model, version=asked.version, rows=rows)
    done, skipped, lost = [], [], []
    lag_us = duration(lag) // epoch.MICROSECOND
    for use in plan.views:
        why = _unfit(declared, use)
        served = None if why else _served(logged, use, plan)
        if why or isinstance(served, str):
            skipped.append(f"{use.name}: {why or served}")
        elif served is not None and logged.num_rows:
            try:
                made = view_rows.compute(project, declared, declared.view(use.name))
            except MlkitError as error:
                lost.append(f"{use.name}: {error}")
                continue
            gone = set(served.columns.column_names).difference(made.use.columns)
            if gone:
                lost.append(
                    f"{use.name}: it does not make '{min(gone)}' any more; set version="
                    f"{use.version + 1}, join and train anew"
                )
                continue
            index = point_in_time.index(made.table, _as_trained(use, made.use))
            done.append(skew.compare(served, index, lag_us))
    computed: list[Skew] = []
    if plan.on_demand and logged.num_rows:
        known = replay_on_demand.known(logged, asked.time, plan.entity, asked.entity_type)
        computed, others = replay_on_demand.compare(declared, plan, logged, known)
        skipped += others
    return Replayed(
        model=asked.model,
        version=asked.version,
        dataset=plan.dataset,
        rows=logged.num_rows,
        views=tuple(done),
        on_demand=tuple(computed),
        skipped=tuple(skipped),
        lost=tuple(lost),
    )


def _as_trained(use: ViewUse, now: ViewUse) -> ViewUse:
    """Return the present view with the ttl and missing-value policy of the training."""
    return msgspec.structs.replace(now, ttl=use.ttl, on_missing=use.on_missing)


def _unfit(declared: Declared, use: ViewUse) -> str:
    """Return why the present view cannot be compared with that of the training."""
    view = declared.views.get(use.name)
    if view is None:
        return "it is gone from features.py"
    if view.version != use.version:
        return f"features.py has version {view.version}, the model learned from {use.version}"
    return ""


def _served(logged: pa.Table, use: ViewUse, plan: FeaturePlan) -> Served | str:
    """Return the served values of a view, or why the log does not have them."""
    names = [name for name in use.columns if name in logged.column_names]
    if not names:
        return "the model has none of its columns among its inputs"
    key = _keys(logged, use, plan)
    if isinstance(key, str):
        return key
    moments = logged["_served_at"].combine_chunks().cast(pa.int64())
    return Served(
        ids=logged["_id"].to_pylist(),
        keys=key,
        moments=np.asarray(moments),
        columns=logged.select(names).combine_chunks(),
    )


def _keys(logged: pa.Table, use: ViewUse, plan: FeaturePlan) -> Any:
    if use.entity in logged.column_names:
        column = logged[use.entity]
    elif use.entity == plan.entity:
        column = logged["_entity"]
    else:
        return f"the log does not have its entity '{use.entity}'"
    keys = entity_keys.as_keys(column.combine_chunks(), use.key)
    return f"its entity '{use.entity}' is no key" if keys is None else keys
