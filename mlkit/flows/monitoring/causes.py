"""The causes of an error: drift of inputs and actual values in the judged rows, and since when."""

from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.flows.log import evidence
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.steps.drift import detection, onset, reference
from mlkit.steps.drift.detection import DriftRule
from mlkit.steps.drift.result import FeatureDrift
from mlkit.steps.inputs import prediction_columns
from mlkit.steps.performance import base_rate, diagnosis
from mlkit.steps.performance.diagnosis import Clues
from mlkit.steps.performance.judge import PerformanceRule, Verdict
from mlkit.steps.performance.slices import Sheet
from mlkit.store.registry import ModelVersion

_SURE = 0.01  # significance level from which drift is named as a cause


class Judgement(NamedTuple):
    """What the error was judged on: all rows of the window, those with an actual, their losses."""

    answered: pa.Table
    known: pa.Table
    losses: np.ndarray
    sheets: tuple[Sheet | None, Sheet | None]
    rule: PerformanceRule


def find(
    project: Project, version: ModelVersion, verdict: Verdict, judged: Judgement, error: str
) -> tuple[FeatureDrift | None, str]:
    """Return the drift test of the actual values, and the diagnosis.

    ``error`` describes, in words, an error that did not rise significantly.
    """
    schema = deploy.input_schema(version)
    moved = _moved(project, version, judged.answered)
    target = _target(project, version, judged)
    base = None
    if target is not None and target.drifted:
        base = base_rate.judge(schema, *judged.sheets, judged.rule)
    since = _since(verdict, moved, judged)
    clues = Clues(inputs=moved, base=base, since=since, error=error)
    return target, diagnosis.of(verdict, clues)


def _moved(project: Project, version: ModelVersion, answered: pa.Table) -> list[FeatureDrift]:
    """Return the drift tests of the inputs."""
    found = detection.compare(
        evidence.reference_of(project, version).of_requests(),
        evidence.with_answers(version, answered),
        _rule(project),
        span_s=evidence.span_s(answered),
    )
    asked = {column.name for column in deploy.input_schema(version).columns}
    return [feature for feature in found.features if feature.column in asked]


def _target(project: Project, version: ModelVersion, judged: Judgement) -> FeatureDrift | None:
    told = judged.answered["_actual"].drop_null().to_pylist()
    found = detection.compare(
        evidence.reference_of(project, version).of_target(),
        prediction_columns.actuals(deploy.input_schema(version), told),
        _rule(project),
        span_s=evidence.span_s(judged.answered),
    )
    return next((f for f in found.features if f.kind != "missing"), None)


def _rule(project: Project) -> DriftRule:
    rule = DriftRule.from_settings(project.settings.drift, ordered=True)
    return msgspec.structs.replace(rule, alpha=min(rule.alpha, _SURE))


def _since(verdict: Verdict, moved: list[FeatureDrift], judged: Judgement) -> dict[str, str]:
    """Return the change points of missing values and of a degraded error, as texts."""
    found = {
        feature.column: _moment(
            judged.answered, reference.gaps(judged.answered.column(feature.column))
        )
        for feature in moved
        if feature.kind == "missing" and feature.drifted
    }
    if verdict == "degraded":
        found[diagnosis.ERROR] = _moment(judged.known, judged.losses, rising=True)
    return {name: text for name, text in found.items() if text}


def _moment(rows: pa.Table, values: np.ndarray, *, rising: bool = False) -> str:
    in_time = pc.sort_indices(rows["_served_at"]).to_numpy()
    split = onset.find_change_point(values[in_time].astype(float))
    if split is None or (rising and split.after < split.before):
        return ""
    moment: datetime = rows["_served_at"][int(in_time[split.place])].as_py()
    return f"{moment.astimezone(UTC):%H:%MZ (%F)}"
