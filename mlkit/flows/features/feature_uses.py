"""Where the values of a feature view come from, and which datasets and models use them."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from mlkit.flows.features import declarations as features
from mlkit.flows.features import view_rows
from mlkit.project import Project, Session
from mlkit.provenance import ViewUse
from mlkit.store import datasets, deployments, registry
from mlkit.store import features as store
from mlkit.store.registry import Outline

Standing = Literal["never", "behind", "current"]
_MOST_USES = 1000


class Use(msgspec.Struct, frozen=True):
    """A dataset version that was joined with a view, and the models that were trained on it."""

    dataset: str
    view_version: int
    made_of: str | None
    columns: tuple[str, ...]
    models: tuple[str, ...]
    deployed: tuple[str, ...]


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Where the values of a view come from and where they go."""

    name: str
    kind: Literal["view", "on_demand"]
    version: int
    source: str | None
    source_version: str | None
    materialized_from: str | None
    inputs: tuple[str, ...]
    columns: tuple[str, ...]
    uses: tuple[Use, ...]


def lineage(project: Project, name: str) -> Lineage:
    """Return where a view or transformation comes from and goes to; raises NotFoundError."""
    declared = features.load(project)
    if name in declared.on_demand:
        made = declared.on_demand[name]
        with project.read() as s:
            uses = uses_of(s, "on_demand", name)
        return Lineage(
            name=name, kind="on_demand", version=made.version, source=None, source_version=None,
            materialized_from=None, inputs=made.inputs, columns=columns_of(uses), uses=uses,
        )  # fmt: skip
    view = features.view_named(declared, name)
    with project.read() as s:
        stored = store.find(s, view.name, view.version)
        uses = uses_of(s, "views", name)
    return Lineage(
        name=name,
        kind="view",
        version=view.version,
        source=view.place,
        source_version=view_rows.source(project, view).reference,
        materialized_from=None if stored is None else stored.dataset,
        inputs=(),
        columns=columns_of(uses) if stored is None else tuple(stored.columns),
        uses=uses,
    )


def uses_of(s: Session, part: Literal["views", "on_demand"], name: str) -> tuple[Use, ...]:
    """Return the joined dataset versions, newest first, and the models that learned from them.

    A model that was retrained on logged rows learned from a later version of the same dataset.
    """
    champions = {deployment.version.id for deployment in deployments.champions(s)}
    learned: dict[int, list[Outline]] = {}
    for model in sorted(registry.outline(s)):
        learned.setdefault(model.dataset_version_id, []).append(model)
    found = []
    heirs: dict[int, list[Outline]] = {}
    for version in datasets.sound(s):
        heirs.setdefault(version.dataset_id, [])[:0] = learned.get(version.id, [])
        if version.join is None:
            continue
        models = heirs.pop(version.dataset_id)
        uses = version.join.views if part == "views" else version.join.on_demand
        use = next((each for each in uses if each.name == name), None)
        if use is None:
            continue
        found.append(
            Use(
                dataset=version.reference,
                view_version=use.version,
                made_of=use.dataset if isinstance(use, ViewUse) else None,
                columns=use.columns,
                models=tuple(f"{m.model}@{m.number}" for m in models),
                deployed=tuple(f"{m.model}@{m.number}" for m in models if m.id in champions),
            )
        )
    return tuple(found[:_MOST_USES])


def columns_of(uses: Sequence[Use]) -> tuple[str, ...]:
    """Return the columns that the newest use has."""
    return uses[0].columns if uses else ()
