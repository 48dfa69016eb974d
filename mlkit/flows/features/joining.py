"""Point-in-time join: the features of views as of the time of each row of a dataset."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import UNSET

from mlkit.errors import ConflictError, InvalidInputError
from mlkit.flows.data import ingest, version_files, versioning
from mlkit.flows.data.acceptance import Roles
from mlkit.flows.data.versioning import Added, Origin
from mlkit.flows.features import declarations, joined_rules, on_demand, view_rows
from mlkit.flows.features.declarations import Declared
from mlkit.flows.features.view_rows import ViewRows
from mlkit.progress import Progress, silent
from mlkit.project import Project
from mlkit.provenance import Join, OnDemandUse, ViewUse
from mlkit.steps.features.view import FeatureView, OnDemand
from mlkit.store import datasets
from mlkit.store.datasets import DatasetVersion

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Recipe:
    """The parts of a joined dataset: names only, as a user writes them."""

    base: str
    views: tuple[str, ...] = ()
    on_demand: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Base:
    """The base version of a join."""

    version: DatasetVersion
    roles: Roles

    @property
    def reference(self) -> str:
        """The reference of the version, as a user writes it."""
        return self.version.reference


def recipe(project: Project, name: str) -> Recipe | None:
    """Return the recipe of dataset ``name`` in ``mlkit.toml``, None if there is none."""
    said = project.settings.datasets.get(name)
    if said is None or not said.base:
        return None
    if said.source:
        raise InvalidInputError(
            f"[datasets.{name}] in mlkit.toml has both a source and a base; a joined dataset has "
            "no source of its own"
        )
    return Recipe(said.base, said.views, said.on_demand)


def join(
    project: Project, name: str, made_of: Recipe, *, progress: Progress | None = None
) -> Added:
    """Make the next version of the joined dataset ``name`` if any of its parts has changed.

    Target, time and entity are those of the base. The version records the base version, the version
    of every view, the datasets behind them, and what serving needs (see ``ViewUse``). Raises
    InvalidInputError with view and column, and like ``ingest.add``.
    """
    say = progress or silent
    declared = declarations.load(project)
    views = [declared.view(view) for view in made_of.views]
    transformations = [declared.transformation(wanted) for wanted in made_of.on_demand]
    if not views and not transformations:
        raise InvalidInputError(f"dataset '{name}' joins nothing; name a feature view")
    with version_files.used(project):
        base = _base(project, name, made_of.base)
        newest = _newest_join(project, name)
        if newest is not None and _is_made_of(
            project, newest, declared, base, views, transformations
        ):
            return _already(project, newest, base.roles)
        rows = []
        for view in views:
            say(f"computing {view.name}")
            rows.append(view_rows.compute(project, declared, view))
        say("joining")
        table, added = _joined(project, base, rows, transformations)
        origin = _origin(base, rows, transformations, added, declared)
        say("checking")
        inferred = joined_rules.of_views([view.use for view in rows])
        return ingest.add_table(
            project, name, table, origin=origin, roles=base.roles, inferred=inferred
        )


def again(project: Project, version: DatasetVersion, made: Join) -> "pa.Table":
    """Rebuild the rows of a joined version from its recorded provenance.

    Raises ConflictError if ``features.py`` has changed, or like ``join``.
    """
    declared = declarations.load(project)
    base = _base(project, version.dataset.name, made.base)
    rows = [_view_again(project, declared, use) for use in made.views]
    transformations = [declared.transformation(use.name) for use in made.on_demand]
    if not all(declared.is_code_of(use.name, use.digest) for use in made.on_demand):
        raise ConflictError(f"{declarations.FILE} has changed since")
    return _joined(project, base, rows, transformations)[0]


def _view_again(project: Project, declared: Declared, use: ViewUse) -> ViewRows:
    view = declared.view(use.name)
    if view_rows.digest(declared, view) != use.digest:
        raise ConflictError(f"{declarations.FILE} has changed since, where {view} is declared")
    if use.dataset is None:
        return view_rows.compute(project, declared, view)
    number = ingest.parse_reference(use.dataset)[1]
    made_of = view_rows.source(project, view, number)
    return view_rows.compute(project, declared, view, made_of)


def _base(project: Project, name: str, reference: str) -> _Base:
    base, number = ingest.parse_reference(reference)
    if base == name:
        raise InvalidInputError(f"dataset '{name}' cannot be joined to itself; name another one")
    with project.read() as s:
        version = datasets.get_version(s, base, number)
        roles = versioning.own_roles(version.dataset)
        if roles.time is None:
            raise InvalidInputError(
                f"dataset '{base}' has no time column, so nobody knows what was known at the time "
                f"of a row; say which it is: mlkit data add {base} FILE --time COL"
            )
        return _Base(version, roles)


def _already(project: Project, version: DatasetVersion, roles: Roles) -> Added:
    """Return the existing version, with any role that the base has got since."""
    with project.write() as s:
        versioning.with_roles(project, s, version.dataset.name, roles)
    return versioning.already(version)


def _newest_join(project: Project, name: str) -> DatasetVersion | None:
    """Return the newest version of ``name`` if it is a join; raises ConflictError if none ever was.

    Newer versions may hold logged rows; the join is an ancestor of these.
    """
    with project.read() as s:
        if datasets.find(s, name) is None:
            return None
        if datasets.newest_made(s, name, Join) is None:
            raise ConflictError(
                f"dataset '{name}' is there already and is no join; join under another name"
            )
        newest = datasets.get_version(s, name)
        return newest if newest.join else None


def _is_made_of(
    project: Project,
    version: DatasetVersion,
    declared: Declared,
    base: _Base,
    views: Sequence[FeatureView],
    transformations: Sequence[OnDemand],
) -> bool:
    """Tell whether a version is the join of the same versions by the same code."""
    made = version.join
    if made is None:
        return False
    had = [(use.name, use.dataset, use.digest) for use in made.views]
    has = [
        (view.name, view_rows.source(project, view).reference, view_rows.digest(declared, view))
        for view in views
    ]
    known = all(reference is not None for _, reference, _ in has)  # the database may have changed
    code = all(declared.is_code_of(use.name, use.digest) for use in made.on_demand)
    names = [use.name for use in made.on_demand] == [each.name for each in transformations]
    return made.base == base.reference and known and had == has and code and names


def _joined(
    project: Project, base: _Base, rows: Sequence[ViewRows], transformations: Sequence[OnDemand]
) -> "tuple[pa.Table, dict[str, list[str]]]":
    """Return base rows with all features, and the columns that each transformation added."""
    import pyarrow as pa

    from mlkit.steps.features import point_in_time

    added: dict[str, list[str]] = {}

    def finished() -> "Iterator[pa.Table]":
        table = ingest.load_version(project, base.version)
        views = [point_in_time.index(view.table, view.use) for view in rows]
        chunks = point_in_time.sliced(table)
        for chunk in point_in_time.join(chunks, views, str(base.roles.time)):
            yield on_demand.extend(chunk, transformations, added)

    return pa.concat_tables(finished(), promote_options="permissive"), added


def _origin(
    base: _Base,
    rows: Sequence[ViewRows],
    transformations: Sequence[OnDemand],
    added: dict[str, list[str]],
    declared: Declared,
) -> Origin:
    made_of = [view.use.dataset for view in rows if view.use.dataset is not None]
    names = [view.use.name for view in rows] + [made.name for made in transformations]
    functions = [
        OnDemandUse(
            name=made.name,
            version=made.version,
            inputs=made.inputs,
            columns=tuple(added[made.name]),
            digest=declared.code_of(made),
        )
        for made in transformations
    ]
    asked = [declared.view(view.use.name) for view in rows if view.use.dataset is None]
    return Origin(
        source=f"join of {base.reference} with {', '.join(names)}",
        parents=tuple(dict.fromkeys([base.reference, *made_of])),
        made=Join(
            base=base.reference,
            views=tuple(view.use for view in rows),
            on_demand=tuple(functions),
            databases={view.name: view.place for view in asked} or UNSET,
        ),
    )
