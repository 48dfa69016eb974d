"""Materialize feature views: write changed latest values to the online store."""

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from mlkit import epoch
from mlkit.errors import ConflictError
from mlkit.flows.data import version_files
from mlkit.flows.data.turns import Turns
from mlkit.flows.features import changed_values, declarations, unused_values, view_rows
from mlkit.flows.features.declarations import Declared
from mlkit.flows.features.view_rows import Source, ViewRows
from mlkit.progress import Progress, silent
from mlkit.project import Project, Session
from mlkit.provenance import ViewUse
from mlkit.steps.features.view import FeatureView
from mlkit.store import features
from mlkit.store.disk import failpoints
from mlkit.store.features import FeatureValues, StoredView

if TYPE_CHECKING:
    from mlkit.steps.features.latest import Latest

_IN_PLACE: Final = 20_000  # changed rows per transaction: about 0.1 s
_KEPT_FOR: Final = 2  # times the ttl: so long a look-up tells stale from absent


class Materialized(msgspec.Struct, frozen=True):
    """The result for one view: ``rows`` are in the store now, ``written`` of them are new.

    ``full`` says that all were rewritten, because the view's version or code has changed.
    """

    view: str
    version: int
    dataset: str | None
    rows: int
    written: int
    pruned: int
    full: bool
    newest_event_at: datetime | None
    materialized_at: datetime

    @property
    def summary(self) -> str:
        """The result in a few words."""
        return f"{self.view} v{self.version}: {self.written:,} of {self.rows:,} rows written"


class _Made(NamedTuple):
    """The rows of a view, the latest of each entity, and the time they were computed."""

    rows: ViewRows
    found: "Latest"
    now: datetime


def materialize(
    project: Project, names: Sequence[str] = (), *, progress: Progress | None = None
) -> list[Materialized]:
    """Update the views of these names, or all without any; return the result of each.

    The update of a view is atomic, also if it is killed. The store holds the values of the newest
    version of the dataset, even if a newer event was removed there; for a view over a database, an
    event is never replaced by an older one, which a slower concurrent query may have returned. A
    view that is up to date costs one query. Raises InvalidInputError for a view that is wrong,
    ConflictError if its columns changed and its version did not, both after all other views, and
    BusyError if another process materialises.
    """
    say = progress or silent
    busy = "another process is materialising features; try again"
    with project.lock("features", busy=busy), version_files.used(project):
        declared = declarations.load_or_nothing(project)
        unused_values.tidy(project)
        turns, done = Turns(), []
        for view in declared.chosen(tuple(names)):
            say(f"materialising {view.name}")
            made = turns.take(view.name, functools.partial(_one, project, declared, view))
            done += [made] if made is not None else []
        turns.take("views of before", functools.partial(unused_values.forget, project, declared))
        unused_values.tidy(project)
    turns.settle()
    return done


def summary(done: Sequence[Materialized]) -> str:
    """Return a one-line summary for the history of the job."""
    return "; ".join(one.summary for one in done) or "no feature views"


def _one(project: Project, declared: Declared, view: FeatureView) -> Materialized:
    now = project.now()
    made_of = view_rows.source(project, view)
    with project.read() as s:
        stored = features.find(s, view.name, view.version)
    same_code = stored is not None and stored.digest == view_rows.digest(declared, view)
    if stored is not None and same_code and _is_up_to_date(stored, made_of, now):
        return _touch(project, stored, view, now)
    rows = _in_stored_order(view_rows.compute(project, declared, view, made_of), stored)
    from mlkit.steps.features import latest  # imports pyarrow, not needed if up to date

    found = latest.latest(rows.table, epoch.to_us(now), view.ttl_us)
    stored = _registered(project, stored, rows, now)
    if stored.set_id is None or not same_code:
        made = _Made(rows, found, now)
        stored = _replace(project, stored, _all(found), made)
        return _result(stored, written=stored.rows, pruned=0, full=True)
    return _update(project, stored, view, _Made(rows, found, now))


def _in_stored_order(rows: ViewRows, stored: StoredView | None) -> ViewRows:
    """Return the rows with the stored columns first, new columns after them.

    A reader that does not know a new column yet finds the others at the same positions.
    """
    known = [] if stored is None else [c for c in stored.columns if c in rows.use.columns]
    order = list(dict.fromkeys([*known, *rows.use.columns]))
    if order == list(rows.use.columns):
        return rows
    kinds = dict(zip(rows.use.columns, rows.use.types, strict=True))
    use = msgspec.structs.replace(
        rows.use, columns=tuple(order), types=tuple(kinds[name] for name in order)
    )
    entity, time, *_ = rows.table.column_names
    return rows._replace(use=use, table=rows.table.select([entity, time, *order]))


def _is_up_to_date(stored: StoredView, made_of: Source, now: datetime) -> bool:
    """Tell whether source and rows are unchanged, and no future event has become current."""
    due = stored.next_event_at is not None and stored.next_event_at <= now
    same = made_of.sha256 is not None and stored.source_sha256 == made_of.sha256
    return stored.set_id is not None and same and not due


def _touch(project: Project, stored: StoredView, view: FeatureView, now: datetime) -> Materialized:
    """Prune expired rows, and record that the view is up to date."""
    with project.write() as s:
        stored = s.get_one(StoredView, stored.id)
        pruned = _prune(s, stored, view, now)
        stored.rows -= pruned
        stored.materialized_at = now
        if pruned:
            _mark_changed(stored, now)
    return _result(stored, written=0, pruned=pruned, full=False)


def _registered(
    project: Project, stored: StoredView | None, rows: ViewRows, now: datetime
) -> StoredView:
    """Return the row of this view version, creating it if it is new; raises ConflictError."""
    use = rows.use
    if stored is not None:
        _refuse_other_columns(stored, use)
        return stored
    with project.write() as s:
        stored = StoredView(
            name=use.name, version=use.version, entity=use.entity, key=use.key,
            columns=list(use.columns), types=list(use.types), ttl=use.ttl, digest="",
            changed_at=now, materialized_at=now, changes=0, rows=0,
        )  # fmt: skip
        s.add(stored)
    return stored


def _refuse_other_columns(stored: StoredView, use: ViewUse) -> None:
    """Raise ConflictError if readers of this version would miss a column or its type."""
    known = dict(zip(stored.columns, stored.types, strict=True))
    known[stored.entity] = stored.key
    now = dict(zip(use.columns, use.types, strict=True))
    now[use.entity] = use.key
    for name, kind in known.items():
        if now.get(name) != kind:
            change = f"was {kind} and is {now[name]}" if name in now else "is gone"
            raise ConflictError(
                f"feature view '{use.name}', column '{name}' {change}, which models of version "
                f"{use.version} do not expect; set version={use.version + 1} in features.py"
            )


def _all(found: "Latest") -> FeatureValues:
    return FeatureValues(found.entities, found.event_us, found.data)


def _replace(project: Project, stored: StoredView, rows: FeatureValues, made: _Made) -> StoredView:
    """Write a complete new set in batches, then switch to it in one transaction."""
    with project.write() as s:
        set_id = features.begin_set(s, stored, made.now)
    for start in range(0, len(rows.entities), unused_values.BATCH):
        with project.write() as s:
            features.put(s, set_id, rows.part(start, start + unused_values.BATCH))
    failpoints.reach("features.staged")
    with project.write() as s:
        stored = s.get_one(StoredView, stored.id)
        stored.set_id = set_id
        stored.rows = len(rows.entities)
        stored.newest_event_at = epoch.from_us(max(rows.event_us)) if rows.event_us else None
        _record_source(stored, made)
        _mark_changed(stored, made.now)
    failpoints.reach("features.published")
    return stored


def _update(project: Project, stored: StoredView, view: FeatureView, made: _Made) -> Materialized:
    """Write new and changed rows, delete those of entities that are gone."""
    set_id = int(stored.set_id or 0)
    with project.read() as s:
        had = features.read_set(s, set_id)
    changes = changed_values.find(had, made.found, view, made.now)
    written = len(changes.changed)
    if changes.rows > _IN_PLACE:
        kept = changed_values.by_column(changes.all_after(_oldest_us(view, made.now)))
        stored = _replace(project, stored, kept, made)
        pruned = len(had.keys() | changes.changed.keys()) - stored.rows
        return _result(stored, written=written, pruned=pruned, full=False)
    with project.write() as s:
        stored = s.get_one(StoredView, stored.id)
        features.remove(s, set_id, [*changes.gone, *changes.taken_back])
        features.put(s, set_id, changed_values.by_column(changes.changed))
        pruned = len(changes.gone) + _prune(s, stored, view, made.now)
        stored.rows = features.count(s, set_id)
        if changes.rows:
            stored.newest_event_at = changes.newest
        failpoints.reach("features.changing")
        _record_source(stored, made)
        if written or pruned:
            _mark_changed(stored, made.now)
    return _result(stored, written=written, pruned=pruned, full=False)


def _record_source(stored: StoredView, made: _Made) -> None:
    """Record the sources of the live rows."""
    use = made.rows.use
    stored.columns, stored.types, stored.ttl = list(use.columns), list(use.types), use.ttl
    stored.digest, stored.dataset = use.digest, use.dataset
    stored.source_sha256 = made.rows.source.sha256
    next_us = made.found.next_us
    stored.next_event_at = None if next_us is None else epoch.from_us(next_us)
    stored.materialized_at = made.now


def _mark_changed(stored: StoredView, now: datetime) -> None:
    """Increment the change counter, by which caches see that values have changed."""
    stored.changes = StoredView.changes + 1  # incremented by the database, so never lost
    stored.changed_at = now


def _prune(s: Session, stored: StoredView, view: FeatureView, now: datetime) -> int:
    oldest = _oldest_us(view, now)
    if oldest is None or stored.set_id is None:
        return 0
    return features.prune(s, stored.set_id, oldest)


def _oldest_us(view: FeatureView, now: datetime) -> int | None:
    """Return the time before which rows are deleted: they are not even reported as stale."""
    return None if view.ttl_us is None else epoch.to_us(now) - _KEPT_FOR * view.ttl_us


def _result(stored: StoredView, *, written: int, pruned: int, full: bool) -> Materialized:
    return Materialized(
        view=stored.name,
        version=stored.version,
        dataset=stored.dataset,
        rows=stored.rows,
        written=written,
        pruned=pruned,
        full=full,
        newest_event_at=stored.newest_event_at,
        materialized_at=stored.materialized_at,
    )
