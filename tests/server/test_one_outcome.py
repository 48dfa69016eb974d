"""One outcome for one row, over HTTP, with a file on the command line, and in Python.

The table in docs/serving.md says in words what these cases say in rows.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlkit.errors import InvalidInputError
from mlkit.flows.registry import deploy
from mlkit.project import open_project
from mlkit.steps.inputs import encode

ROW = {
    "since": "2026-01-05T10:00:00Z",
    "age": 30,
    "plan": "free",
    "spend": 12.5,
    "active": False,
}


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ROW.items() if key != name}


ALIKE = {  # what is answered, and as which plainer row
    "permuted": (dict(reversed(ROW.items())), ROW),
    "extra": ({**ROW, "shoe": 43, "noise": None}, ROW),
    "whole as 30.0": ({**ROW, "age": 30.0}, ROW),
    "number as 12": ({**ROW, "spend": 12}, {**ROW, "spend": 12.0}),
    "null that may be": ({**ROW, "spend": None}, {**ROW, "spend": None}),
    "text never seen": ({**ROW, "plan": "gold"}, {**ROW, "plan": "silver"}),
    "time in a zone": ({**ROW, "since": "2026-01-05T11:00:00+01:00"}, ROW),
    "time without a zone": ({**ROW, "since": "2026-01-05T10:00:00"}, ROW),
}
REFUSED = {  # which column is named
    "column missing": (_without("age"), "age"),
    "column missing that may be null": (_without("spend"), "spend"),
    "null": ({**ROW, "age": None}, "age"),
    "null text": ({**ROW, "plan": None}, "plan"),
    "30.5": ({**ROW, "age": 30.5}, "age"),
    "beyond 64 bits": ({**ROW, "age": 2**63}, "age"),
    "text for a whole number": ({**ROW, "age": "30"}, "age"),
    "text for a number": ({**ROW, "spend": "12.5"}, "spend"),
    "true for a whole number": ({**ROW, "age": True}, "age"),
    "true for a number": ({**ROW, "spend": True}, "spend"),
    "0 for false": ({**ROW, "active": 0}, "active"),
    "text for false": ({**ROW, "active": "false"}, "active"),
    "number for a text": ({**ROW, "plan": 3}, "plan"),
    "true for a text": ({**ROW, "plan": True}, "plan"),
    "no time": ({**ROW, "since": "soon"}, "since"),
    "number for a time": ({**ROW, "since": 1767607200}, "since"),
}


class Outcome(NamedTuple):
    """A probability, or the names of the columns that were refused."""

    answer: float | None
    refused: frozenset[str] = frozenset()


@pytest.fixture(scope="module")
def root(training: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes a time, a whole number, a text, a number with gaps and a truth value."""
    folder = tmp_path_factory.mktemp("alike") / "project"
    folder.mkdir()
    return training(folder, by=None)


@pytest.fixture(scope="module")
def ways(
    root: Path, start: Any, warm: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Callable[[Any], Outcome]]]:
    """Each way to ask, by name."""
    server = start(root, "--workers", "1")
    project = open_project(root, environment={})
    loaded = deploy.load_version(project, deploy.find_version(project, "churn"))
    folder = tmp_path_factory.mktemp("files")

    def over_http(row: Any) -> Outcome:
        reply = server.predict(row)
        if reply.status == 200:
            return Outcome(reply.body["predictions"][0]["probabilities"]["yes"])
        assert reply.status == 422, reply.body
        return _refusal(reply.body)

    def answered(columns: Any) -> Outcome:
        answers = loaded.predictor.predict(encode.matrix(loaded.schema, columns))
        assert answers.probabilities is not None
        return Outcome(float(answers.probabilities[0, 1]))

    def in_python(row: Any) -> Outcome:
        try:
            return answered(encode.columns_of_rows(loaded.schema, [row]))
        except InvalidInputError as error:
            return _refusal(error.details)

    def as_a_table(row: Any) -> Outcome:
        try:
            return answered(encode.columns_of_table(loaded.schema, _table(row)))
        except InvalidInputError as error:
            return _refusal(error.details)

    def on_the_command_line(row: Any) -> Outcome:
        file, output = folder / "row.parquet", folder / "out.parquet"
        output.unlink(missing_ok=True)
        pq.write_table(_table(row), file)
        words = ["--project", str(root), "predict", "churn", str(file), "-o", str(output), "--json"]
        done = subprocess.run([warm.program(), *words], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return Outcome(pq.read_table(output)["probability_yes"][0].as_py())
        assert (done.returncode, output.exists()) == (1, False), done.stderr
        return _told(json.loads(done.stdout))

    yield {
        "HTTP": over_http,
        "command line": on_the_command_line,
        "Python": in_python,
        "Arrow": as_a_table,
    }
    project.close()
    server.stop()


def _table(row: Any) -> pa.Table:
    values = {
        name: pa.array([value], pa.uint64()) if type(value) is int and value >= 2**63 else [value]
        for name, value in row.items()
    }
    return pa.table(values)


def _refusal(body: Any) -> Outcome:
    return Outcome(None, frozenset(problem["column"] for problem in body["problems"]))


def _told(body: Any) -> Outcome:
    """Return what the command line says: problems, or a message that names the column."""
    if "problems" in body:
        return _refusal(body)
    return Outcome(None, frozenset(name for name in ROW if f"column '{name}'" in body["error"]))


@pytest.mark.parametrize("case", ALIKE)
def test_what_is_answered_gets_the_same_bits_everywhere(case: str, ways: Any) -> None:
    row, plainer = ALIKE[case]
    expected = ways["Python"](plainer)
    assert expected.answer is not None
    assert {name: way(row) for name, way in ways.items()} == dict.fromkeys(ways, expected)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_refused_everywhere_and_names_the_column(case: str, ways: Any) -> None:
    row, column = REFUSED[case]
    expected = Outcome(None, frozenset({column}))
    assert {name: way(row) for name, way in ways.items()} == dict.fromkeys(ways, expected)


@pytest.mark.parametrize("nan", [float("nan")])
def test_a_nan_in_a_file_is_a_missing_value(nan: float, ways: Any) -> None:
    missing = ways["Python"]({**ROW, "spend": None})
    for name in ("command line", "Arrow"):
        assert ways[name]({**ROW, "spend": nan}) == missing
