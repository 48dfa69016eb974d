"""The distribution of each column in a window of the log, beside its recorded drift tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from mlkit.flows.log import evidence
from mlkit.flows.log.evidence import Window
from mlkit.flows.monitoring import history
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.steps.drift import histogram
from mlkit.steps.drift.histogram import Distribution
from mlkit.steps.inputs import prediction_columns
from mlkit.store.registry import ModelVersion

Tested = Sequence[Mapping[str, Any]]


class Test(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded test, its level (see ``history``) and its latest levels."""

    name: str
    kind: str
    effect: float | None
    threshold: float | None
    q_value: float | None
    drifted: bool | None
    level: float | None
    history: tuple[float | None, ...]


class FeatureLine(msgspec.Struct, frozen=True, kw_only=True):
    """One column: its tests, the worst first, and its distribution.

    ``role`` is ``input``, ``answer`` or ``target``. A column that the version does not have has
    only tests.
    """

    column: str
    role: str
    tests: tuple[Test, ...]
    distribution: Distribution | None

    @property
    def drifted(self) -> bool:
        """Whether any test found drift."""
        return any(test.drifted for test in self.tests)


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a window, the worst first; ``known`` of its ``rows`` have an actual."""

    window: Window
    rows: int
    known: int
    features: tuple[FeatureLine, ...]


def look(
    project: Project,
    version: ModelVersion,
    window: Window,
    *,
    tested: Tested,
    past: Mapping[str, Sequence[float | None]],
) -> Spread:
    """Return the columns of the version's rows in ``window``, read once.

    ``tested`` are the tests of the last reports, ``past`` the latest levels of each test.
    """
    rows = evidence.rows(project, version, window)
    answers = evidence.with_answers(version, rows).answers
    known = rows["_actual"].drop_null()
    actuals = prediction_columns.actuals(deploy.input_schema(version), known)
    found: dict[str, tuple[str, Distribution]] = {}
    for profile in evidence.reference_of(project, version).columns:
        column = _column(profile.name, (actuals, answers, rows))
        if column is not None and profile.measure != "text":  # text has no shares to show
            found[profile.name] = profile.role, histogram.compare(profile, column)
    lines = [_line(name, tested, past, found.get(name)) for name in _names(found, tested)]
    return Spread(
        window=window,
        rows=rows.num_rows,
        known=len(known),
        features=tuple(sorted(lines, key=_worst_first)),
    )


def _column(name: str, tables: Sequence[pa.Table]) -> Any:
    for table in tables:
        if name in table.column_names:
            return table.column(name)
    return None


def _names(found: Mapping[str, Any], tested: Tested) -> list[str]:
    return list(dict.fromkeys([*found, *(_tested_column(test) for test in tested)]))


def _tested_column(test: Mapping[str, Any]) -> str:
    return str(test.get("column", test["name"]))


def _line(
    column: str,
    tested: Tested,
    past: Mapping[str, Sequence[float | None]],
    found: tuple[str, Distribution] | None,
) -> FeatureLine:
    tests = [
        _test(test, tuple(past.get(test["name"], ())))
        for test in tested
        if _tested_column(test) == column
    ]
    tests.sort(key=lambda test: (not test.drifted, -(test.level or 0.0)))
    role, distribution = found or ("input", None)
    return FeatureLine(column=column, role=role, tests=tuple(tests), distribution=distribution)


def _test(test: Mapping[str, Any], past: tuple[float | None, ...]) -> Test:
    return Test(
        name=test["name"],
        kind=test.get("kind", ""),
        effect=history.number(test.get("effect")),
        threshold=history.number(test.get("threshold")),
        q_value=history.number(test.get("q_value")),
        drifted=test.get("drifted"),
        level=past[-1] if past else history.level(test, None),
        history=past,
    )


def _worst_first(line: FeatureLine) -> tuple[bool, float]:
    worst = max((test.level or 0.0 for test in line.tests), default=0.0)
    return not line.drifted, -worst
