"""Rows that break the rules of the training data: counted or, by ``server.guard``, refused.

By default they are only counted: a range inferred from a file must not cause an outage.
"""

import logging
from collections import Counter
from typing import Final

import numpy as np

from mlkit.errors import InvalidInputError, MlkitError
from mlkit.flows.registry.deploy import Loaded
from mlkit.project import Project
from mlkit.server.metrics.meter import Meter
from mlkit.server.models.held import Held
from mlkit.steps.inputs.rows import Rows
from mlkit.steps.rules import rule_file
from mlkit.steps.rules.guard import Guard, RowFailure

_SHOWN: Final = 100

log = logging.getLogger(__name__)


def make(loaded: Loaded) -> Guard | None:
    """Return the guard for the rules of a version's training data, None without any rules.

    A model whose rules can no longer be read answers without a guard.
    """
    label = f"the rules that {loaded.model} v{loaded.version} was trained under"
    try:
        guard = Guard(rule_file.from_yaml(loaded.rules, label), loaded.schema)
    except MlkitError as error:
        log.warning("no guard: %s", error)
        return None
    return guard if guard.tests else None


class RuleGuard:
    """Check the rows of every query, as the model gets them."""

    def __init__(self, project: Project, meter: Meter) -> None:
        self._refuses = project.settings.server.guard == "refuse"
        self._meter = meter

    def check(self, held: Held, rows: Rows | np.ndarray) -> None:
        """Count the rows that break rules; raises InvalidInputError if they must be refused."""
        if held.guard is None:
            return
        found = held.guard.find(rows)
        if not found:
            return
        model = held.loaded.model
        for columns, count in Counter(failure.test.columns for failure in found).items():
            self._meter.rules_failed(model, ", ".join(columns), count)
        hard = [failure for failure in found if failure.test.level == "error"]
        if hard and self._refuses:
            raise _refusal(hard)


def _refusal(found: list[RowFailure]) -> InvalidInputError:
    problems = [
        {"row": failure.row, "column": column, "problem": f"breaks {failure.test.rule[:200]}"}
        for failure in found[:_SHOWN]
        for column in failure.test.columns
    ]
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return InvalidInputError(
        f"the rows break rules of the training data: row {first.row}, column "
        f"'{', '.join(first.test.columns)}': {first.test.rule[:200]}{more}",
        {"problems": problems},
    )
