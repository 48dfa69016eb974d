"""Values that a list of allowed values does not contain yet: a new plan, a new country.

A user decides whether they are allowed, so the error offers one command for it.
"""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from mlkit.steps.rules.rule_failure import RuleFailure
    from mlkit.steps.rules.schema import Schema
    from mlkit.steps.tables.tabular import Tabular

_SHOWN: Final = 5
_MOST_CHARS: Final = 100


class NewValues(NamedTuple):
    """The values of a column that its ``isin`` does not list, and their row count."""

    column: str
    counts: dict[str, int]

    @property
    def in_short(self) -> str:
        """The new values in one clause.

        >>> NewValues("plan", {"gold": 37}).in_short
        "'plan' has the new value 'gold' (37 rows)"
        """
        first = [*self.counts.items()][:_SHOWN]
        shown = ", ".join(f"'{_shortened(value)}' ({n:,} rows)" for value, n in first)
        more = f" and {len(self.counts) - _SHOWN} more" if len(self.counts) > _SHOWN else ""
        noun = "the new value" if len(self.counts) == 1 else "new values"
        return f"'{self.column}' has {noun} {shown}{more}"

    def remedy(self, dataset: str, label: str) -> str:
        """Return the advice: the command that adds the values to the rules in file ``label``."""
        typed = [value for value in [*self.counts][:_SHOWN] if _can_be_copied(value)]
        words = [f"--accept {shlex.quote(f'{self.column}={value}')}" for value in typed]
        command = f": mlkit data rules {dataset} {' '.join(words)}" if typed else ""
        words = [f"--missing {shlex.quote(mark)}" for mark in self._marks]
        missing = f"; if they mean missing, add the CSV file with {' '.join(words)}"
        return (
            f"if they are right, add them to 'isin' of '{self.column}' in {label}{command}"
            f"{missing if words else ''}"
        )

    @property
    def _marks(self) -> list[str]:
        """The markers that other programs write for a missing value."""
        from mlkit.steps.reading.csv_values import MARKS  # pyarrow, already imported by the check

        return [value for value in self.counts if value in MARKS]


def _can_be_copied(value: str) -> bool:
    """Tell whether a terminal shows a value completely and unchanged."""
    return len(value) <= _MOST_CHARS and value.isprintable()


def _shortened(value: str) -> str:
    return value if len(value) <= _MOST_CHARS else f"{value[:_MOST_CHARS]}..."


def find(table: "Tabular", schema: "Schema", found: "Sequence[RuleFailure]") -> list[NewValues]:
    """Return the new values behind the failing lists of allowed values."""
    from mlkit.steps.rules import rule_failure
    from mlkit.steps.tables import tally  # pyarrow, loaded already by the check
    from mlkit.steps.tables.tabular import Column

    offers = []
    for failure in found:
        if failure.rule.name == "isin" and failure.rows is not None and failure.refuses:
            (name,) = failure.columns
            column = rule_failure.fitted(Column(table, name), schema)
            offers.append(NewValues(name, tally.most_frequent(column, failure.rows)))
    return offers
