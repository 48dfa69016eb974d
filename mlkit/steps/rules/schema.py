"""The schema of a dataset, its rules as plain values; the YAML form is in ``rule_file``.

Rules have pandera's names: ``in_range(0, 80)``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
import pyarrow as pa

from mlkit.steps.tables import dtypes

Level = Literal["error", "warn"]

COLUMN_PRESENT: Final = "column_present"
NOT_NULLABLE: Final = "not_nullable"
UNIQUE: Final = "field_uniqueness"
UNIQUE_VALUES: Final = "unique_values_eq"
UNIQUE_TOGETHER: Final = "multiple_fields_uniqueness"
KEY: Final = "key"
MONOTONE: Final = "monotone"
MAX_MISSING: Final = "max_missing"
MAX_DRIFT: Final = "max_drift"
FRESH: Final = "fresh"
CHECK: Final = "check"
ROWS: Final = "rows"

_FORMS: Final[Mapping[str, str]] = {
    "in_range": "in_range({min_value}, {max_value})",
    "isin": "isin({allowed_values})",
    "notin": "notin({forbidden_values})",
    "equal_to": "equal_to({value})",
    "not_equal_to": "not_equal_to({value})",
    "greater_than": "greater_than({min_value})",
    "greater_than_or_equal_to": "greater_than_or_equal_to({min_value})",
    "less_than": "less_than({max_value})",
    "less_than_or_equal_to": "less_than_or_equal_to({max_value})",
    "str_matches": "str_matches('{pattern}')",
    "str_contains": "str_contains('{pattern}')",
    "str_startswith": "str_startswith('{string}')",
    "str_endswith": "str_endswith('{string}')",
    UNIQUE_VALUES: "unique_values_eq({values})",
    KEY: "key({columns})",
    MONOTONE: "monotone({order})",
    MAX_MISSING: "max_missing({share})",
    MAX_DRIFT: "max_drift({effect})",
    CHECK: "{text}",
    ROWS: "rows({min_value}, {max_value})",
    FRESH: "fresh({within})",
}
VALUE_RULES: Final = (
    "in_range", "isin", "notin", "equal_to", "not_equal_to", "greater_than", "less_than",
    "greater_than_or_equal_to", "less_than_or_equal_to", "str_matches", "str_contains",
    "str_startswith", "str_endswith", "str_length", UNIQUE_VALUES,
)  # fmt: skip


class Rule(msgspec.Struct, frozen=True):
    """One rule; level ``warn`` does not refuse rows. ``options`` are those of pandera."""

    name: str
    arguments: dict[str, Any] = {}
    level: Level = "error"
    options: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """The name of the rule in messages.

        >>> Rule("in_range", {"min_value": 0, "max_value": 80}).label
        'in_range(0, 80)'
        """
        if self.name == "str_length":
            return self._length()
        form = _FORMS.get(self.name)
        return self.name if form is None else form.format(**self._shown())

    def _shown(self) -> dict[str, Any]:
        missing = {"min_value": None, "max_value": None}
        return {**missing, **self.arguments}

    def _length(self) -> str:
        exact = self.arguments.get("exact_value")
        least, most = self.arguments.get("min_value"), self.arguments.get("max_value")
        return f"str_length({exact})" if exact is not None else f"str_length({least}, {most})"


class ColumnRules(msgspec.Struct, frozen=True):
    """The rules of one column; without a ``dtype`` its values may be of any type."""

    dtype: str | None = None
    required: bool = True
    rules: tuple[Rule, ...] = ()

    @property
    def nullable(self) -> bool:
        """Whether missing values are allowed."""
        return not any(r.name == NOT_NULLABLE and r.level == "error" for r in self.rules)


class Schema(msgspec.Struct, frozen=True):
    """The rules for all versions of a dataset.

    ``quarantine`` is the maximum share of failing rows that are set aside while the others pass.
    """

    columns: dict[str, ColumnRules]
    rules: tuple[Rule, ...] = ()
    strict: bool = False
    quarantine: float = 0.0

    def named(self, name: str) -> Iterator[Rule]:
        """Yield the rules of that name that are not about a single column."""
        return (rule for rule in self.rules if rule.name == name)

    @property
    def compares(self) -> bool:
        """Whether the rows are compared with the previous version."""
        rules = (rule for column in self.columns.values() for rule in column.rules)
        return any(rule.name == MAX_DRIFT for rule in (*rules, *self.rules))


def types(schema: Schema) -> dict[str, pa.DataType]:
    """Return the required type of each column that has one."""
    kinds = {word: kind for kind, word in dtypes.PANDAS.items()}
    return {name: kinds[c.dtype] for name, c in schema.columns.items() if c.dtype is not None}
