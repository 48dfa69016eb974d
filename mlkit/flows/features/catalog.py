"""Read-only reports on features: the list, one in full, the values of an entity, the lineage."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from mlkit.errors import ConflictError, InvalidInputError
from mlkit.flows.features import declarations as features
from mlkit.flows.features import feature_uses, view_rows
from mlkit.flows.features.declarations import Declared
from mlkit.flows.features.feature_uses import Use
from mlkit.flows.features.online import Key, Online
from mlkit.flows.features.view_rows import Source
from mlkit.project import Project
from mlkit.provenance import ViewUse
from mlkit.steps.features.view import FeatureView, OnDemand
from mlkit.steps.tables import entity_keys
from mlkit.store import datasets
from mlkit.store import features as store
from mlkit.store.features import StoredView

Standing = Literal["never", "behind", "current"]
_MOST_USES = 1000


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One declaration of ``features.py``; ``online`` says whether the store is up to date."""

    name: str
    kind: Literal["view", "on_demand"]
    version: int
    source: str
    entity: str | None = None
    time: str | None = None
    ttl: str | None = None
    owner: str = ""
    description: str = ""
    inputs: tuple[str, ...] = ()
    online: Standing | None = None
    rows: int | None = None
    newest_event_at: datetime | None = None
    materialized_at: datetime | None = None


class Column(msgspec.Struct, frozen=True):
    """One feature; the type of an on-demand feature is known once it is joined."""

    name: str
    type: str | None


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One view in full: declaration, columns, store, uses and drift of its values.

    ``drift`` compares the view's values for the last two versions of its dataset; None with one. An
    on-demand transformation has no rows of its own.
    """

    view: Listed
    on_missing: Any
    columns: tuple[Column, ...]
    rows: int
    entities: int
    uses: tuple[Use, ...]
    drift: Any
    compared: tuple[str, ...]


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """The stored values of one entity; ``features`` is None if the view refuses."""

    entity: Key
    state: str
    features: dict[str, Any] | None
    event_at: datetime | None
    age_s: float | None
    materialized_at: datetime


def list_features(project: Project) -> list[Listed]:
    """Return all declarations of the project, views first."""
    declared = features.load_or_nothing(project)
    with project.read() as s:
        stored = {(view.name, view.version): view for view in store.list_views(s)}
    views = [
        _listed(project, declared, view, stored.get((view.name, view.version)))
        for view in declared.views.values()
    ]
    return views + [_of_transformation(made) for made in declared.on_demand.values()]


def show(project: Project, name: str) -> Shown:
    """Return a view in full, its rows computed, or an on-demand transformation.

    Raises NotFoundError and like ``compute``.
    """
    declared = features.load(project)
    if name in declared.on_demand:
        return _shown_transformation(project, declared.on_demand[name])
    view = features.view_named(declared, name)
    rows = view_rows.compute(project, declared, view)
    with project.read() as s:
        stored = store.find(s, view.name, view.version)
        uses = feature_uses.uses_of(s, "views", name)
    drift, compared = _drift(project, declared, view)
    entities = rows.table.column(view.entity).unique()
    return Shown(
        view=_listed(project, declared, view, stored),
        on_missing=rows.use.on_missing,
        columns=tuple(map(Column, rows.use.columns, rows.use.types)),
        rows=rows.table.num_rows,
        entities=len(entities),
        uses=uses,
        drift=drift,
        compared=compared,
    )


def get(project: Project, name: str, keys: Sequence[str]) -> list[Got]:
    """Return the values that serving would use for these entities now; raises NotFoundError."""
    declared = features.load(project)
    view = declared.view(name)
    with project.read() as s:
        stored = store.find(s, view.name, view.version)
    if stored is None or stored.set_id is None:
        raise ConflictError(f"{view} has no values online yet; run: mlkit features materialize")
    use = _stored_use(view, stored)
    wanted = [_key(use, text) for text in keys]
    online = Online(project, cache_rows=0)
    try:
        found = online.lookup(use, wanted)
        now_us = online.now_us()
    finally:
        online.close()
    return [
        Got(
            entity=key,
            state=one.state,
            features=None if one.features is None else _named(use, one.features),
            event_at=one.event_at,
            age_s=None if one.event_us is None else (now_us - one.event_us) / 1e6,
            materialized_at=stored.materialized_at,
        )
        for key, one in zip(wanted, found, strict=True)
    ]


def _named(use: ViewUse, values: tuple[Any, ...] | None) -> dict[str, Any] | None:
    return None if values is None else dict(zip(use.columns, values, strict=True))


def _listed(
    project: Project, declared: Declared, view: FeatureView, stored: StoredView | None
) -> Listed:
    return Listed(
        name=view.name,
        kind="view",
        version=view.version,
        source=view.place,
        entity=view.entity,
        time=view.time,
        ttl=view.ttl,
        owner=view.owner,
        description=view.description,
        online=_standing(project, declared, view, stored),
        rows=None if stored is None else stored.rows,
        newest_event_at=None if stored is None else stored.newest_event_at,
        materialized_at=None if stored is None else stored.materialized_at,
    )


def _shown_transformation(project: Project, made: OnDemand) -> Shown:
    with project.read() as s:
        uses = feature_uses.uses_of(s, "on_demand", made.name)
    columns = tuple(Column(name, None) for name in feature_uses.columns_of(uses))
    return Shown(
        view=_of_transformation(made), on_missing=None, columns=columns, rows=0, entities=0,
        uses=uses, drift=None, compared=(),
    )  # fmt: skip


def _of_transformation(made: OnDemand) -> Listed:
    return Listed(
        name=made.name,
        kind="on_demand",
        version=made.version,
        source="request",
        owner=made.owner,
        description=made.description,
        inputs=made.inputs,
    )


def _standing(
    project: Project, declared: Declared, view: FeatureView, stored: StoredView | None
) -> Standing:
    if stored is None or stored.set_id is None:
        return "never"
    with project.read() as s:
        newest = datasets.newest_sha256(s, view.source)
    due = stored.next_event_at is not None and stored.next_event_at <= project.now()
    same = stored.digest == view_rows.digest(declared, view) and not due
    return "current" if same and stored.source_sha256 == newest else "behind"


def _stored_use(view: FeatureView, stored: StoredView) -> ViewUse:
    on_missing: Any = view.on_missing if isinstance(view.on_missing, str) else view.defaults
    return ViewUse(
        name=view.name,
        version=view.version,
        dataset=stored.dataset,
        columns=tuple(stored.columns),
        types=tuple(stored.types),
        entity=stored.entity,
        key="integer" if stored.key == "integer" else "text",
        ttl=view.ttl,
        on_missing=on_missing,
    )


def _key(use: ViewUse, text: str) -> Key:
    if use.key == "text":
        return text
    key = entity_keys.integer(text)
    if key is None:
        raise InvalidInputError(
            f"the entity '{use.entity}' of feature view '{use.name}' is an integer, not '{text}'"
        )
    return key


def _drift(project: Project, declared: Declared, view: FeatureView) -> tuple[Any, tuple[str, ...]]:
    """Compare the view's values for the last two versions of its dataset."""
    if view.is_query_of_a_database:
        return None, ()
    with project.read() as s:
        versions = datasets.get(s, view.source).versions[-2:]
        pair = [Source(version.reference, version.sha256) for version in versions]
    if len(pair) == 1:
        return None, ()
    from mlkit.steps.drift import detection as drift  # imports scipy, which the list does not need

    rule = drift.DriftRule.from_settings(project.settings.drift)
    old, new = (view_rows.compute(project, declared, view, made_of) for made_of in pair)
    names = [name for name in old.use.columns if name in new.use.columns]
    found = drift.compare_tables(old.table.select(names), new.table.select(names), rule)
    return found, tuple(str(made_of.reference) for made_of in pair)
