"""Training-serving skew of on-demand features: recompute them for logged rows and compare."""

from typing import Any

import pyarrow as pa

from mlkit.errors import InvalidInputError
from mlkit.flows.features import on_demand
from mlkit.flows.features.declarations import Declared
from mlkit.flows.features.feature_plan import FeaturePlan
from mlkit.steps.features import skew
from mlkit.steps.features.skew import Skew
from mlkit.steps.tables import entity_keys


def compare(
    declared: Declared, plan: FeaturePlan, logged: pa.Table, known: dict[str, Any]
) -> tuple[list[Skew], list[str]]:
    """Return the comparison of each transformation's logged columns, and those not comparable.

    ``known`` are the time and entity columns of the dataset, which the log has under other names.
    The columns of views are used as served.
    """
    made = {name for use in plan.on_demand for name in use.columns}
    wanted = {name for use in plan.on_demand for name in use.inputs} - made
    given = {name: logged[name] for name in wanted if name in logged.column_names} | known
    table = pa.table(given) if given else logged.select([])
    done, skipped = [], []
    for use in plan.on_demand:
        why = _unfit(declared, use.name, table)
        try:
            table = table if why else on_demand.extend(table, [declared.on_demand[use.name]])
        except InvalidInputError as error:
            why = str(error)
        served = [name for name in use.columns if name in logged.column_names]
        lost = [name for name in served if name not in table.column_names]
        if why or lost:
            skipped.append(f"{use.name}: {why or f'it does not make {lost[0]!r} any more'}")
        elif served:
            subject = skew.Subject(use.name, use.version, logged["_id"], logged["_entity"])
            done.append(skew.of_rows(subject, logged.select(served), table.select(served)))
    return done, skipped


def known(logged: pa.Table, time: str | None, entity: str | None, kind: str) -> dict[str, Any]:
    """Return the time and the entity column of a dataset from the log."""
    found = {} if time is None else {time: logged["_served_at"]}
    if entity is not None:
        found[entity] = entity_keys.as_keys(logged["_entity"], kind)
    return found


def _unfit(declared: Declared, name: str, table: pa.Table) -> str:
    function = declared.on_demand.get(name)
    if function is None:
        return "it is gone from features.py"
    missing = [column for column in function.inputs if column not in table.column_names]
    return f"the log does not have its input '{missing[0]}'" if missing else ""
