"""``mlkit features``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.data.versioning import Added
    from mlkit.flows.features.catalog import Got, Listed, Shown
    from mlkit.flows.features.checks import Tested
    from mlkit.flows.features.feature_uses import Lineage
    from mlkit.flows.features.materialize import Materialized
    from mlkit.project import Project

_FAILED = 3


@click.group()
def features() -> None:
    """Join, materialise, look up and test the features of features.py.

    A feature view says what was true of an entity at a time; it is joined to training data as of
    the time of each row, and looked up when a model is asked.
    """


@features.command("list")
@output.json_option
@output.with_project
def list_(project: "Project", *, as_json: bool) -> None:
    """List what features.py declares, and how fresh the store is."""
    from mlkit.flows.features import catalog  # imports SQLAlchemy

    output.emit(catalog.list_features(project), as_json=as_json, render=_render_list)


@features.command()
@click.argument("name")
@output.json_option
@output.with_project
def show(project: "Project", name: str, *, as_json: bool) -> None:
    """Show a view or transformation in full: columns, policy, who uses it, how its values moved.

    The drift is that between what a view makes of the last two versions of its dataset.
    """
    from mlkit.flows.features import catalog  # imports SQLAlchemy

    output.emit(catalog.show(project, name), as_json=as_json, render=_render_shown)


@features.command()
@click.argument("view")
@click.argument("entity", nargs=-1, required=True)
@output.json_option
@output.with_project
def get(project: "Project", view: str, entity: tuple[str, ...], *, as_json: bool) -> None:
    """Look up what serving would be given for each ENTITY now."""
    from mlkit.flows.features import catalog  # imports SQLAlchemy

    output.emit(catalog.get(project, view, entity), as_json=as_json, render=_render_got)


@features.command()
@click.argument("view", nargs=-1)
@output.json_option
@output.with_project
def materialize(project: "Project", view: tuple[str, ...], *, as_json: bool) -> None:
    """Bring the latest values of each VIEW (default: all) into the online store.

    Only what is newer or has changed is written; everything is when the version of a view or the
    text of features.py is another one. Readers see the old values or the new ones.
    """
    from mlkit.flows.features import materialize as flow  # imports SQLAlchemy

    with output.progress() as display:
        task = display.add_task("materialising", total=None)
        done = flow.materialize(
            project, view, progress=lambda text: display.update(task, description=text)
        )
    output.emit(done, as_json=as_json, render=_render_materialized)


@features.command()
@click.argument("base", metavar="DATASET[@V]")
@click.argument("view", nargs=-1)
@click.option("--as", "name", required=True, metavar="NAME", help="The dataset to make.")
@click.option(
    "--on-demand", multiple=True, metavar="NAME", help="An on-demand transformation to apply."
)
@output.json_option
@output.with_project
def join(
    project: "Project", base: str, *, view: tuple[str, ...], name: str,
    on_demand: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Join each VIEW to the rows of DATASET as of the time of each row.

    The result is the next version of dataset NAME; nothing new if all it is made of is the same.
    """
    from mlkit.flows.features import joining  # imports SQLAlchemy

    with output.progress() as display:
        task = display.add_task("joining", total=None)
        added = joining.join(
            project, name, joining.Recipe(base, view, on_demand),
            progress=lambda text: display.update(task, description=text),
        )  # fmt: skip
    output.emit(added, as_json=as_json, render=_render_joined)


@features.command()
@click.argument("name", nargs=-1)
@click.option(
    "--lag",
    default="1h",
    show_default=True,
    metavar="DURATION",
    help="How late an event may have been in the store when it was served.",
)
@click.option(
    "--rows",
    default=1000,
    show_default=True,
    type=click.IntRange(min=0),
    help="Newest logged rows of each champion to replay.",
)
@output.json_option
@output.with_project
def test(project: "Project", name: tuple[str, ...], *, lag: str, rows: int, as_json: bool) -> None:
    """Run the tests of views and transformations; replay logged predictions. Exit code 3 if bad.

    Without NAME, the newest logged rows of each champion go through the training path at the time
    they were served: equal, lagging (the event came into the store later), or skewed. On-demand
    features are computed anew from the logged inputs.
    """
    from mlkit.flows.features import checks  # imports SQLAlchemy and pandas

    found = checks.examine(project, name, lag=lag, rows=rows)
    output.emit(found, as_json=as_json, render=_render_tested)
    click.get_current_context().exit(0 if found.passed else _FAILED)


@features.command()
@click.argument("name")
@output.json_option
@output.with_project
def lineage(project: "Project", name: str, *, as_json: bool) -> None:
    """Show where a view or transformation comes from, and which models use it."""
    from mlkit.flows.features import feature_uses  # imports SQLAlchemy

    output.emit(feature_uses.lineage(project, name), as_json=as_json, render=_render_lineage)


def _render_list(listed: "list[Listed]") -> None:
    if not listed:
        output.say("no features yet; declare them in features.py (see: mlkit docs features)")
        return
    output.print_table(
        ("feature", "kind", "version", "source", "entity", "ttl", "online", "rows", "newest event",
         "owner"),
        [
            (x.name, x.kind, x.version, x.source, x.entity, x.ttl, x.online, x.rows,
             x.newest_event_at, x.owner or None)
            for x in listed
        ],
    )  # fmt: skip


def _render_shown(shown: "Shown") -> None:
    view = shown.view
    output.say(f"{view.name} v{view.version}: {view.description or 'no description'}")
    if view.kind == "view":
        output.say(
            f"{shown.rows:,} rows of {shown.entities:,} entities from {view.source}; "
            f"entity {view.entity}, time {view.time}, ttl {view.ttl or '-'}, "
            f"on missing {shown.on_missing}, owner {view.owner or '-'}"
        )
        output.say(f"online: {view.online}" + (f", {view.rows:,} entities" if view.rows else ""))
    else:
        inputs = ", ".join(view.inputs)
        output.say(f"computed for each request from {inputs}; owner {view.owner or '-'}")
    output.print_table(("column", "type"), [(c.name, c.type) for c in shown.columns])
    for use in shown.uses:
        output.say(f"joined in {use.dataset}: {', '.join(use.models) or 'no model yet'}")
    if shown.drift is not None:
        output.say(f"{' -> '.join(shown.compared)}: {shown.drift.verdict}")
        output.print_table(
            ("column", "effect", "threshold", "drifted"),
            [(f.name, f.effect, f.threshold, f.drifted) for f in shown.drift.features],
        )


def _render_got(got: "list[Got]") -> None:
    names = list(dict.fromkeys(name for one in got for name in one.features or {}))
    output.print_table(
        ("entity", "state", *names, "event"),
        [
            (one.entity, one.state, *((one.features or {}).get(name) for name in names),
             one.event_at)
            for one in got
        ],
    )  # fmt: skip


def _render_materialized(done: "list[Materialized]") -> None:
    if not done:
        output.say("no feature views; declare them in features.py (see: mlkit docs features)")
    for one in done:
        how = " (all anew)" if one.full else ""
        output.say(
            f"{one.view} v{one.version}: {one.written:,} rows written{how}, {one.pruned:,} taken "
            f"out, {one.rows:,} in the store"
        )


def _render_joined(added: "Added") -> None:
    reference = f"{added.dataset}@{added.version}"
    if not added.new:
        output.say(f"these rows are {reference} already; no new version")
        return
    output.say(f"added {reference}: {added.rows:,} rows, sha256 {added.sha256[:12]}")
    for warning in added.warnings:
        output.say_all(f"warning: {warning}")


def _render_tested(tested: "Tested") -> None:
    output.print_table(
        ("feature", "test", "passed", "message"),
        [(t.feature, t.test, t.passed, t.message or None) for t in tested.tests],
    )
    for model in tested.skew:
        output.say(f"{model.model}@{model.version}, {model.rows:,} logged rows replayed")
        output.print_table(
            ("view", "equal", "lagging", "skewed"),
            [(v.view, v.equal, v.lagging, v.skewed) for v in (*model.views, *model.on_demand)],
        )
        for view in (*model.views, *model.on_demand):
            for row in view.examples:
                output.say(f"{row.id} ({row.entity}): served {row.served}, not {row.expected}")
        for reason in (*model.lost, *model.skipped):
            output.say(f"not replayed: {reason}")


def _render_lineage(found: "Lineage") -> None:
    source = found.source_version or found.source or f"columns {', '.join(found.inputs)}"
    output.say(source)
    output.say(f"└── {found.name} v{found.version}: {', '.join(found.columns) or 'not yet used'}")
    if found.materialized_from:
        output.say(f"    ├── online store, from {found.materialized_from}")
    for use in found.uses:
        made_of = f", from {use.made_of}" if use.made_of else ""
        output.say(f"    ├── {use.dataset} (v{use.view_version}{made_of})")
        for model in use.models:
            champion = " (champion)" if model in use.deployed else ""
            output.say(f"    │   └── {model}{champion}")
