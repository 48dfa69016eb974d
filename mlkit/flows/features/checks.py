"""Test the features of a project: user tests, the contract of views, training-serving skew."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from mlkit.errors import InvalidInputError, MlkitError
from mlkit.flows.data import ingest
from mlkit.flows.features import declarations, replay, view_rows
from mlkit.flows.features.declarations import FILE, Declared
from mlkit.flows.features.replay import Replayed
from mlkit.project import Project
from mlkit.steps.features import output
from mlkit.steps.features.view import Check, FeatureView, OnDemand
from mlkit.steps.rules import checks
from mlkit.store import datasets

_SAMPLE = 25  # rows that are also transformed one by one


class Outcome(msgspec.Struct, frozen=True):
    """One test of a view or transformation; ``message`` describes a failure."""

    feature: str
    test: str
    passed: bool
    message: str = ""


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """All tests, and the logged predictions that were replayed through the training path."""

    passed: bool
    tests: tuple[Outcome, ...]
    skew: tuple[Replayed, ...]

    @property
    def skewed(self) -> int:
        """The number of replayed rows whose values differ from those of training."""
        return sum(model.skewed for model in self.skew)


def examine(
    project: Project, names: Sequence[str] = (), *, lag: str = "1h", rows: int = 1000
) -> Tested:
    """Run the tests of these views and transformations; of all if no names are given.

    Added to the user's tests are: a view computes and meets its contract (*rows*); its values do
    not change when later rows are added, which would be leakage from the future (*past*); a
    transformation gives the same result for a row alone as in a batch (*alone*). Without names, the
    newest logged ``rows`` of each champion are replayed (see ``replay``).
    """
    declared = declarations.load(project)
    outcomes: list[Outcome] = []
    for name in names or [*declared.views, *declared.on_demand]:
        if name in declared.on_demand:
            outcomes += _of_transformation(project, declared.on_demand[name])
        else:
            outcomes += _of_view(project, declared, declared.view(name))
    skew = () if names else tuple(replay.replay(project, declared, lag=lag, rows=rows))
    skewed = any(model.skewed or model.lost for model in skew)
    passed = all(outcome.passed for outcome in outcomes) and not skewed
    return Tested(passed=passed, tests=tuple(outcomes), skew=skew)


def _of_view(project: Project, declared: Declared, view: FeatureView) -> Iterator[Outcome]:
    try:
        rows = view_rows.compute(project, declared, view).table
    except MlkitError as error:
        yield Outcome(view.name, "rows", passed=False, message=str(error))
        return
    yield Outcome(view.name, "rows", passed=True)
    yield from _past(project, view, rows)
    yield from _own(view.name, view.tests, rows)


def _past(project: Project, view: FeatureView, rows: pa.Table) -> Iterator[Outcome]:
    """Test for leakage: without the newer half of the source the older values must not change."""
    if view.is_query_of_a_database or not rows.num_rows:
        return
    with project.read() as s:
        version = datasets.get_version(s, view.source)
        time, sha256 = version.dataset.time_column, version.sha256
    if time is None:
        return
    source = ingest.load_table(project, sha256)
    moments = pc.sort_indices(source[time])
    middle = source[time][moments[len(moments) // 2].as_py()]
    known = source.filter(pc.less_equal(source[time], middle))
    try:
        then = view_rows.apply(view, known, project.root)
    except InvalidInputError as error:
        yield Outcome(view.name, "past", passed=False, message=f"with fewer rows: {error}")
        return
    odd = _first_change(_until(rows, view, middle), _until(then, view, middle), view)
    message = odd and (
        f"{odd}; what is said of a time must not depend on later rows, which serving does not have"
    )
    yield Outcome(view.name, "past", passed=not odd, message=message)


def _until(rows: pa.Table, view: FeatureView, moment: Any) -> pa.Table:
    if not pa.types.is_timestamp(moment.type):
        return rows.slice(0, 0)
    kept = rows.filter(pc.less_equal(rows[view.time], moment))
    return kept.sort_by([(view.entity, "ascending"), (view.time, "ascending")])


def _first_change(now: pa.Table, then: pa.Table, view: FeatureView) -> str:
    if now.num_rows != then.num_rows:
        return f"{now.num_rows:,} rows of the past become {then.num_rows:,}"
    for name in now.column_names:
        pairs = zip(now[name].to_pylist(), then[name].to_pylist(), strict=True)
        for row, (new, old) in enumerate(pairs):
            if not _same(new, old):
                who, when = now[view.entity][row], now[view.time][row]
                told = f"column '{name}' of {who} at {when}"
                return f"{told} was {old} before later rows came and is {new} with them"
    return ""


def _of_transformation(project: Project, made: OnDemand) -> Iterator[Outcome]:
    given = _sample(project, made)
    if given is None:
        yield Outcome(made.name, "alone", passed=True, message="no joined dataset has used it yet")
        return
    try:
        whole = _apply(made, given)
        alone = [_apply(made, given.slice(row, 1)) for row in range(given.num_rows)]
    except InvalidInputError as error:
        yield Outcome(made.name, "rows", passed=False, message=str(error))
        return
    lines = [row for part in alone for row in part.to_pylist()]
    odd = next(
        (
            f"row {number + 1} is {one} alone and {all_} among others"
            for number, (one, all_) in enumerate(zip(lines, whole.to_pylist(), strict=True))
            if not all(_same(one[name], all_[name]) for name in all_)
        ),
        "",
    )
    yield Outcome(made.name, "alone", passed=not odd, message=odd)
    yield from _own(made.name, made.tests, whole)


def _apply(made: OnDemand, given: pa.Table) -> pa.Table:
    result = output.guarded(made, FILE, lambda: made(output.frame(given)))
    return output.added(result, given, made)


def _sample(project: Project, made: OnDemand) -> pa.Table | None:
    """Return some rows of the newest joined dataset version that used the transformation."""
    with project.read() as s:
        used = (
            version.sha256
            for version in datasets.sound(s)
            if version.join and made.name in [use.name for use in version.join.on_demand]
        )
        sha256 = next(used, None)
    if sha256 is None:
        return None
    table = ingest.load_table(project, sha256)
    missing = [name for name in made.inputs if name not in table.column_names]
    return None if missing else table.select(list(made.inputs)).slice(0, _SAMPLE)


def _own(name: str, tests: Sequence[Check], rows: pa.Table) -> Iterator[Outcome]:
    for number, check in enumerate(tests, 1):
        if isinstance(check, Mapping):
            yield _by_rules(name, check, rows, number)
        else:
            yield _by_function(name, check, rows)


def _by_rules(name: str, rules: Mapping[str, Any], rows: pa.Table, number: int) -> Outcome:
    label = f"rules {number}" if number > 1 else "rules"
    try:
        text = yaml.safe_dump({"columns": _plain(rules)})
        schema = checks.from_yaml(text, f"{FILE}, tests of '{name}'")
        missing = [column for column in schema.columns if column not in rows.column_names]
        if missing:
            return Outcome(name, label, passed=False, message=f"no column '{missing[0]}'")
        findings = checks.check(rows, schema)
    except (MlkitError, yaml.YAMLError) as error:
        return Outcome(name, label, passed=False, message=str(error))
    message = "; ".join(line.strip() for line in checks.lines(findings.failures))
    return Outcome(name, label, passed=not findings.failures, message=message)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return list(value) if isinstance(value, tuple | set) else value


def _by_function(name: str, function: Any, rows: pa.Table) -> Outcome:
    label = getattr(function, "__name__", "function")
    try:
        said = function(output.frame(rows))
    except Exception as error:  # noqa: BLE001  # a user's test may raise anything
        message = str(error) if isinstance(error, AssertionError) else repr(error)
        return Outcome(name, label, passed=False, message=message or "the assertion failed")
    passed = said is None or bool(said)
    return Outcome(name, label, passed=passed, message="" if passed else f"it returned {said!r}")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)
