"""Bring the latest values of feature views into the online store, as far as they have changed."""

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from sqlalchemy.orm import Session

from mlkit import epoch
from mlkit.errors import ConflictError
from mlkit.flows.data import version_files
from mlkit.flows.data.turns import Turns
from mlkit.flows.features import declarations, view_rows
from mlkit.flows.features.declarations import Declared
from mlkit.flows.features.view_rows import Source, ViewRows
from mlkit.progress import Progress, silent
from mlkit.project import Project
from mlkit.provenance import ViewUse
from mlkit.steps.features.view import FeatureView
from mlkit.store import datasets, features
from mlkit.store.disk import failpoints
from mlkit.store.features import Rows, StoredView

if TYPE_CHECKING:
    from mlkit.steps.features.latest import Latest

_Values = Mapping[str, tuple[int, str]]

_IN_PLACE: Final = 20_000  # changed rows that one transaction may write: some 0.1 s
_BATCH: Final = 20_000
_LONG_AGO: Final = -(1 << 62)
_KEPT_FOR: Final = 2  # times the ttl: until then a look-up can tell stale from never known


class Materialized(msgspec.Struct, frozen=True):
    """What was done for one view: ``rows`` are in the store now, ``written`` of them are new.

    ``full`` says that all were written anew, because the view's version or code is another one.
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
        """What was done, in a few words."""
        return f"{self.view} v{self.version}: {self.written:,} of {self.rows:,} rows written"


class _Made(NamedTuple):
    """The rows of a view, the latest of them, and as of when."""

    rows: ViewRows
    found: "Latest"
    now: datetime


def materialize(
    project: Project, names: Sequence[str] = (), *, progress: Progress | None = None
) -> list[Materialized]:
    """Bring the views of these names up to date, all without any; return what was done.

    Each view is atomic: a reader sees its old values or its new ones, whenever this is killed.
    The store holds what the newest version of the dataset says, even if that takes a newer event
    back; of a query on a database an event is never replaced by an older one, which may be a late
    answer. What is up to date already costs a query. Raises InvalidInputError
    for a view that is wrong, ConflictError if its columns changed and its version did not, once all
    others have had their turn, and BusyError if another process is at it.
    """
    say = progress or silent
    busy = "another process is materialising features; try again"
    with project.lock("features", busy=busy), version_files.used(project):
        declared = declarations.load_or_nothing(project)
        _tidy(project)
        turns, done = Turns(), []
        for view in declared.chosen(tuple(names)):
            say(f"materialising {view.name}")
            made = turns.take(view.name, functools.partial(_one, project, declared, view))
            done += [made] if made is not None else []
        turns.take("views of before", functools.partial(_forget, project, declared))
        _tidy(project)
    turns.settle()
    return done


def summary(done: Sequence[Materialized]) -> str:
    """Return one line about what was done, for the history of the job."""
    return "; ".join(one.summary for one in done) or "no feature views"


def _one(project: Project, declared: Declared, view: FeatureView) -> Materialized:
    now = project.now()
    made_of = view_rows.source(project, view)
    with project.read() as s:
        stored = features.find(s, view.name, view.version)
    same_code = stored is not None and stored.digest == view_rows.digest(declared, view)
    if stored is not None and same_code and _is_up_to_date(stored, made_of, now):
        return _keep(project, stored, view, now)
    rows = _in_stored_order(view_rows.compute(project, declared, view, made_of), stored)
    from mlkit.steps.features import latest  # pyarrow, which a view that is up to date does without

    found = latest.latest(rows.table, epoch.to_us(now), view.ttl_us)
    stored = _registered(project, stored, rows, now)
    if stored.set_id is None or not same_code:
        made = _Made(rows, found, now)
        stored = _replace(project, stored, _all(found), made)
        return _told(stored, written=stored.rows, pruned=0, full=True)
    return _update(project, stored, view, _Made(rows, found, now))


def _in_stored_order(rows: ViewRows, stored: StoredView | None) -> ViewRows:
    """Return the rows with the columns that are stored first, new ones behind them.

    So a reader that does not know yet of a new column finds the others where they were.
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
    """Tell whether the same bytes would give the same rows: no event has come due since."""
    due = stored.next_event_at is not None and stored.next_event_at <= now
    same = made_of.sha256 is not None and stored.source_sha256 == made_of.sha256
    return stored.set_id is not None and same and not due


def _keep(project: Project, stored: StoredView, view: FeatureView, now: datetime) -> Materialized:
    """Take out what is too old to be told of, and note that all is up to date."""
    with project.write() as s:
        stored = s.get_one(StoredView, stored.id)
        pruned = _prune(s, stored, view, now)
        stored.rows -= pruned
        stored.materialized_at = now
        if pruned:
            _mark_changed(stored, now)
    return _told(stored, written=0, pruned=pruned, full=False)


def _registered(
    project: Project, stored: StoredView | None, rows: ViewRows, now: datetime
) -> StoredView:
    """Return the row of this version of the view, made if it is new; raises ConflictError."""
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
    """Raise ConflictError if readers of this version would not find what they know."""
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


def _all(found: "Latest") -> Rows:
    return Rows(found.entities, found.event_us, found.data)


def _replace(project: Project, stored: StoredView, rows: Rows, made: _Made) -> StoredView:
    """Write a whole new set in batches, then let it take the place of the old one in one step."""
    with project.write() as s:
        set_id = features.begin_set(s, stored, made.now)
    for start in range(0, len(rows.entities), _BATCH):
        with project.write() as s:
            features.put(s, set_id, rows.part(start, start + _BATCH))
    failpoints.reach("features.staged")
    with project.write() as s:
        stored = s.get_one(StoredView, stored.id)
        stored.set_id = set_id
        stored.rows = len(rows.entities)
        stored.newest_event_at = epoch.from_us(max(rows.event_us)) if rows.event_us else None
        _note(stored, made)
        _mark_changed(stored, made.now)
    failpoints.reach("features.published")
    return stored


def _update(project: Project, stored: StoredView, view: FeatureView, made: _Made) -> Materialized:
    """Write the rows that are newer than what is stored, or changed; delete whose are gone."""
    set_id = int(stored.set_id or 0)
    with project.read() as s:
        had = features.read_set(s, set_id)
    found = zip(made.found.entities, made.found.event_us, made.found.data, strict=True)
    is_news = _is_newer if view.is_query_of_a_database else _is_other
    changed = {who: (us, data) for who, us, data in found if is_news((us, data), had.get(who))}
    gone = _gone(had, view, made)
    newest = _newest({**had, **changed}, set(gone))
    if len(changed) + len(gone) > _IN_PLACE:
        kept = _kept({**had, **changed}, set(gone), _oldest_us(view, made.now))
        stored = _replace(project, stored, _columns(kept), made)
        pruned = len(had.keys() | changed.keys()) - stored.rows
        return _told(stored, written=len(changed), pruned=pruned, full=False)
    with project.write() as s:
        stored = s.get_one(StoredView, stored.id)
        features.remove(s, set_id, [*gone, *_taken_back(had, changed)])
        features.put(s, set_id, _columns(changed))
        pruned = len(gone) + _prune(s, stored, view, made.now)
        stored.rows = features.count(s, set_id)
        if changed or gone:
            stored.newest_event_at = newest
        failpoints.reach("features.changing")
        _note(stored, made)
        if changed or pruned:
            _mark_changed(stored, made.now)
    return _told(stored, written=len(changed), pruned=pruned, full=False)


def _kept(rows: _Values, gone: set[str], oldest_us: int | None) -> _Values:
    return {
        who: (us, data)
        for who, (us, data) in rows.items()
        if who not in gone and (oldest_us is None or us > oldest_us)
    }


def _columns(rows: _Values) -> Rows:
    """Return rows by column, in the order of the index that they go into."""
    names = sorted(rows)
    return Rows(names, [rows[who][0] for who in names], [rows[who][1] for who in names])


def _gone(had: _Values, view: FeatureView, made: _Made) -> list[str]:
    """Return who has values that could be used and that the source does not know any more."""
    known = set(made.found.entities)
    oldest = _LONG_AGO if view.ttl_us is None else epoch.to_us(made.now) - view.ttl_us
    return [who for who, (us, _) in had.items() if us > oldest and who not in known]


def _taken_back(had: _Values, changed: _Values) -> list[str]:
    """Return whose newest event is not in the source any more, so that an older one counts."""
    return [who for who, (us, _) in changed.items() if who in had and us < had[who][0]]


def _newest(rows: _Values, gone: set[str]) -> datetime | None:
    times = (us for who, (us, _) in rows.items() if who not in gone)
    newest = max(times, default=None)
    return None if newest is None else epoch.from_us(newest)


def _is_other(value: tuple[int, str], had: tuple[int, str] | None) -> bool:
    return value != had


def _is_newer(value: tuple[int, str], had: tuple[int, str] | None) -> bool:
    return had is None or value[0] > had[0] or (value[0] == had[0] and value[1] != had[1])


def _note(stored: StoredView, made: _Made) -> None:
    """Record what the live rows are made of."""
    use = made.rows.use
    stored.columns, stored.types, stored.ttl = list(use.columns), list(use.types), use.ttl
    stored.digest, stored.dataset = use.digest, use.dataset
    stored.source_sha256 = made.rows.source.sha256
    next_us = made.found.next_us
    stored.next_event_at = None if next_us is None else epoch.from_us(next_us)
    stored.materialized_at = made.now


def _mark_changed(stored: StoredView, now: datetime) -> None:
    """Let caches notice."""
    stored.changes = StoredView.changes + 1  # counted by the database: it never falls back
    stored.changed_at = now


def _prune(s: Session, stored: StoredView, view: FeatureView, now: datetime) -> int:
    oldest = _oldest_us(view, now)
    if oldest is None or stored.set_id is None:
        return 0
    return features.prune(s, stored.set_id, oldest)


def _oldest_us(view: FeatureView, now: datetime) -> int | None:
    """Return until when a row is too old to be told of, even as one that is too old to be used."""
    return None if view.ttl_us is None else epoch.to_us(now) - _KEPT_FOR * view.ttl_us


def _forget(project: Project, declared: Declared) -> None:
    """Let go of versions that are not declared any more and that no dataset version was made of."""
    declares = {(view.name, view.version) for view in declared.views.values()}
    with project.read() as s:
        known = {(stored.name, stored.version) for stored in features.list_views(s)}
    if known <= declares:
        return
    with project.write() as s:
        joins = [version.join for version in datasets.outline(s)]
        used = {(view.name, view.version) for join in joins if join for view in join.views}
        for stored in features.list_views(s):
            if (stored.name, stored.version) not in declares | used:
                stored.set_id = None


def _tidy(project: Project) -> None:
    """Delete the sets that are nobody's values, little by little, and views that have none."""
    with project.read() as s:
        sets = features.leftovers(s)
        unused = any(stored.set_id is None for stored in features.list_views(s))
    for set_id in sets:
        gone = False
        while not gone:
            with project.write() as s:
                gone = features.drop_some(s, set_id, _BATCH)
    if sets or unused:
        with project.write() as s:
            features.forget_empty(s)


def _told(stored: StoredView, *, written: int, pruned: int, full: bool) -> Materialized:
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
