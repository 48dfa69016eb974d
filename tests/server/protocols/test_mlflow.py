"""MLflow's scoring payloads, as its documents show them and as its own client sends them."""

import contextlib
import json
import shutil
import socket
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.server.problems import Fault, RefusedError
from mlkit.server.protocols import mlflow
from mlkit.server.protocols.instances import Params
from mlkit.server.query import Message, Query
from mlkit.steps.inputs.rows import CsvHabits, Reader

NAMES = ["since", "age", "plan", "spend", "active"]
LISTS: list[list[Any]] = [
    ["2026-01-01T00:00:00Z", 30, "free", 12.5, False],
    [None, 71, None, None, True],
]
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in LISTS]
COLUMNS = {name: [row[place] for row in LISTS] for place, name in enumerate(NAMES)}
ROWS = [
    ("2026-01-01T00:00:00.000000Z", 30, "free", 12.5, False),
    (None, 71, None, None, True),
]
CSV = b"since,age,plan,spend,active\r\n2026-01-01T00:00:00Z,30,free,12.5,False\r\n,71,,,TRUE\r\n"


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": NAMES, "data": LISTS}},
        {"dataframe_split": {"columns": NAMES, "data": LISTS, "index": [7, 8]}},
        {"dataframe_split": {"columns": NAMES[::-1], "data": [row[::-1] for row in LISTS]}},
        {"dataframe_records": RECORDS},
        {"instances": RECORDS},
        {"instances": LISTS},
        {"instances": COLUMNS},
        {"inputs": COLUMNS},
        {"inputs": LISTS},
        {"inputs": RECORDS},
        {"inputs": LISTS, "params": None},
        {"inputs": LISTS, "params": {}},
    ],
    ids=lambda body: " ".join(f"{name}:{type(value).__name__}" for name, value in body.items()),
)
def test_every_form_gives_the_same_rows(mixed: Any, message: Any, body: Any) -> None:
    query = mlflow.decode(mixed, message(body))
    assert query.rows == ROWS
    assert (query.request_id, query.entity_ids, query.options) == (None, None, Params())


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_a_model_with_one_column_takes_single_values(single: Any, message: Any, form: str) -> None:
    assert mlflow.decode(single, message({form: [1, None, 2.5]})).rows == [(1.0,), (None,), (2.5,)]


def test_no_rows_are_left_to_the_scorer(mixed: Any, message: Any) -> None:
    for body in ({"inputs": []}, {"dataframe_records": []}, {"inputs": {}}):
        assert mlflow.decode(mixed, message(body)).rows == []
    assert mlflow.decode(mixed, message(CSV.partition(b"\n")[0], "text/csv")).rows == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "it has none"),
        ({"params": {}}, "it has none"),
        ({"inputs": LISTS, "instances": LISTS}, "it has instances and inputs"),
        ({"inputs": LISTS, "rows": []}, "unknown field `rows`"),
        ({"inputs": "all"}, "'inputs' must be a list of rows"),
        ({"inputs": None}, "'inputs' must be a list of rows"),
        ({"inputs": [1, 2]}, "5 columns (since, age, plan, spend, active)"),
        ({"inputs": [RECORDS[0], LISTS[0]]}, "more than one form: list and object"),
        ({"inputs": {"age": 3}}, "column 'age' of 'inputs' must be a list"),
        ({"inputs": {**COLUMNS, "age": [1]}}, "different lengths"),
        ({"inputs": [[1, 2]]}, "row 0 has 2 values for 5 columns"),
        ({"dataframe_split": LISTS}, "expected `object`, got `array`"),
        ({"dataframe_split": {"data": LISTS}}, "missing required field `columns`"),
        ({"dataframe_split": {"columns": NAMES[:4] * 2, "data": []}}, "'since' is there twice"),
        ({"dataframe_split": {"columns": [1, 2], "data": []}}, "expected `str`, got `int`"),
        ({"dataframe_split": {"columns": NAMES[:4], "data": [LISTS[0][:4]]}}, "'active': missing"),
        ({"dataframe_records": [[1]]}, "expected `object`, got `array`"),
        ({"inputs": LISTS, "params": {"temperature": 1}}, "unknown field `temperature`"),
        ({"inputs": LISTS, "params": {"probabilities": "yes"}}, "expected `bool`, got `str`"),
    ],
)
def test_a_wrong_body_is_refused_with_the_reason(
    mixed: Any, message: Any, body: Any, words: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        mlflow.decode(mixed, message(body))
    assert words in str(caught.value)


def test_every_bad_value_is_named_with_row_and_column(mixed: Any, message: Any) -> None:
    rows = [["soon", 1.5, 3, "x", 0], LISTS[0]]
    for sent in (message({"inputs": rows}), message(_csv("soon,1.5,3,x,2"), "text/csv")):
        with pytest.raises(InvalidInputError) as caught:
            mlflow.decode(mixed, sent)
        found = {problem["column"] for problem in caught.value.details["problems"]}
        assert found >= {"since", "age", "spend", "active"}
        assert {problem["row"] for problem in caught.value.details["problems"]} == {0}


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"inputs": [NaN]}', b'{"inputs":[],"inputs":[]}', b"\xff"]
)
def test_what_is_no_json_is_refused(mixed: Any, message: Any, body: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        mlflow.decode(mixed, message(body))
    assert caught.value.status == 400


def _csv(*lines: str) -> bytes:
    return "\n".join([",".join(NAMES), *lines]).encode()


@pytest.mark.parametrize(
    "body",
    [
        CSV,
        CSV.replace(b"\r\n", b"\n"),
        b"\xef\xbb\xbf" + CSV,
        CSV + b"\r\n\r\n",
        CSV.replace(b"free", b'"free"').replace(b"since,age", b' since ,"age"'),
        pd.DataFrame(RECORDS, dtype=object).to_csv(index=False).encode(),
        pd.DataFrame(RECORDS, dtype=object).to_csv().encode(),
    ],
    ids=["crlf", "lf", "bom", "blank lines", "quotes", "pandas", "pandas with index"],
)
def test_csv_gives_the_same_rows(mixed: Any, message: Any, body: bytes) -> None:
    assert mlflow.decode(mixed, message(body, "text/csv", "; charset=UTF-8")).rows == ROWS


def test_quoted_values_of_a_csv_keep_commas_quotes_and_line_breaks(
    mixed: Any, message: Any
) -> None:
    body = _csv(',1,"a, ""b""\r\nc",1e3,0')
    assert mlflow.decode(mixed, message(body, "text/csv")).rows == [
        (None, 1, 'a, "b"\r\nc', 1000.0, False)
    ]


@pytest.mark.parametrize(
    ("text", "age"), [("3.0", 3), ("1e2", 100), ("9007199254740993", 9007199254740993), ("-4", -4)]
)
def test_whole_numbers_of_a_csv_stay_whole(mixed: Any, message: Any, text: str, age: int) -> None:
    ((_, found, *_),) = mlflow.decode(mixed, message(_csv(f",{text},,,1"), "text/csv")).rows
    assert (found, type(found)) == (age, int)


@pytest.mark.parametrize(
    "text",
    ["1_000", "inf", "1.5", "x", "9" * 5000, "9223372036854775808", "", "007", "-05", "0x1F"],
)
def test_what_is_no_whole_number_in_a_csv_is_refused(mixed: Any, message: Any, text: str) -> None:
    with pytest.raises(InvalidInputError, match="column 'age'"):
        mlflow.decode(mixed, message(_csv(f",{text},,,1"), "text/csv"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b"\n\n", "the body is empty"),
        (b"\xff\xfe", "not valid CSV"),
        (b'a,b\n"1,2', "unexpected end of data"),
        (b'a\n"1"2', "expected after"),
        (b"a\n" + b"x" * 200_000, "field larger than field limit"),
    ],
)
def test_what_is_no_csv_is_refused(mixed: Any, message: Any, body: bytes, words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        mlflow.decode(mixed, message(body, "text/csv"))
    assert caught.value.status == 400
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": LISTS * 2},
        {"inputs": {"age": [1] * 4}},
        {"dataframe_records": RECORDS * 2},
        {"dataframe_split": {"columns": NAMES, "data": LISTS * 2}},
        CSV + b"\n,1,,,1" * 2,
    ],
    ids=["lists", "columns", "records", "split", "csv"],
)
def test_too_many_rows_are_refused_before_they_are_read(
    mixed: Any, message: Any, body: Any
) -> None:
    kind = "text/csv" if isinstance(body, bytes) else "application/json"
    with pytest.raises(RefusedError, match=r"4 rows are more than 3 \(server.max_rows\)") as caught:
        mlflow.decode(mixed, message(body, kind))
    assert caught.value.status == 413


def test_lines_of_a_csv_that_are_too_short_or_double_names_are_refused(
    mixed: Any, message: Any
) -> None:
    with pytest.raises(InvalidInputError, match="row 1 has 2 values for 5 columns"):
        mlflow.decode(mixed, message(_csv(",1,,,1", "1,2"), "text/csv"))
    with pytest.raises(InvalidInputError, match="'age' is there twice"):
        mlflow.decode(mixed, message(b"age,age\n1,2", "text/csv"))


@pytest.mark.parametrize("kind", ["application/json", "text/csv"])
def test_only_utf_8_is_read(mixed: Any, message: Any, kind: str) -> None:
    with pytest.raises(RefusedError, match="must be UTF-8") as caught:
        mlflow.decode(mixed, message(CSV, kind, "; charset=latin-1"))
    assert caught.value.status == 415


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["columns", "data", *NAMES]) | st.text(), inner)
    ),
    max_leaves=12,
)
_FORM = st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs"])


@given(body=st.dictionaries(_FORM | st.text(max_size=3), _JSON, max_size=2))
def test_any_json_is_read_or_refused(mixed: Any, message: Any, body: Any) -> None:
    with contextlib.suppress(RefusedError, InvalidInputError):
        mlflow.decode(mixed, message(body))


_CELLS = st.text('09.-eE_ "\r\n,;tru\x00\ufeff\u0661', max_size=6)


@given(lines=st.lists(st.lists(_CELLS, min_size=5, max_size=5), max_size=3), tail=st.binary())
def test_any_csv_is_read_or_refused(mixed: Any, message: Any, lines: Any, tail: bytes) -> None:
    body = "\n".join([",".join(NAMES), *map(",".join, lines)]).encode() + tail
    with contextlib.suppress(RefusedError, InvalidInputError):
        mlflow.decode(mixed, message(body, "text/csv"))


def test_the_answer_is_a_prediction_for_each_row(answers: Any) -> None:
    plain = mlflow.reply(answers, Query([], options=Params()))
    assert plain.body == b'{"predictions":["no","yes"]}'
    asked = mlflow.reply(answers, Query([], options=Params(probabilities=True)))
    assert json.loads(asked.body) == {
        "predictions": [{"no": 0.75, "yes": 0.25}, {"no": 0.5, "yes": 0.5}]
    }


def test_an_estimator_without_probabilities_is_not_asked_for_them(mixed: Any) -> None:
    row = {"since": None, "age": 1, "plan": None, "spend": None, "active": True}
    body = {"instances": [row], "params": {"probabilities": True}}
    message = Message(json.dumps(body).encode(), "application/json", {}, probabilities=False)
    with pytest.raises(InvalidInputError, match="this model's estimator has none"):
        mlflow.decode(mixed, message)


def test_a_regression_has_no_probabilities(single: Any, message: Any) -> None:
    with pytest.raises(InvalidInputError, match="a regression has none"):
        mlflow.decode(single, message({"inputs": [1], "params": {"probabilities": True}}))


def test_errors_are_in_mlflows_words() -> None:
    reply = mlflow.refuse(Fault(422, "no", {"problems": [{"row": 0}], "message": "x"}))
    assert reply.status == "400 Bad Request"  # as MLflow sends it
    assert json.loads(reply.body) == {
        "problems": [{"row": 0}],
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "no",
    }
    busy = mlflow.refuse(Fault(503, "wait", {}, [("Retry-After", "1")]))
    assert ("Retry-After", "1") in busy.headers
    assert json.loads(mlflow.refuse(Fault(500, "oh")).body)["error_code"] == "INTERNAL_ERROR"


def test_the_error_codes_are_those_that_mlflow_knows() -> None:
    from_mlflow = pytest.importorskip("mlflow.exceptions").ERROR_CODE_TO_HTTP_STATUS
    for status, code in mlflow.ERROR_CODES.items():
        assert code in from_mlflow
        assert from_mlflow[code] == (400 if status in (408, 413, 415, 422) else status)


@pytest.fixture
def client(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow's own scoring client."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports warn
        module = pytest.importorskip("mlflow.pyfunc.scoring_server.client")
    return module.ScoringServerClient("127.0.0.1", server.port)


ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}


def test_mlflows_client_gets_what_the_native_route_answers(server: Any, client: Any) -> None:
    frame = pd.DataFrame([ROW, {**ROW, "age": 70, "plan": "pro", "active": True}])
    native = server.predict(*frame.to_dict("records")).body["predictions"]
    client.wait_server_ready(timeout=5)
    assert client.get_version()
    values = client.invoke(frame).get_predictions()
    assert values[0].tolist() == [row["value"] for row in native]
    asked = client.invoke(frame, params={"probabilities": True}).get_predictions()
    assert asked.to_dict("records") == [row["probabilities"] for row in native]
    again = client.invoke(np.array(frame[["age", "plan", "spend", "active"]], dtype=object))
    assert again.get_predictions("ndarray").tolist() == values[0].tolist()


def test_mlflows_client_says_what_was_wrong(client: Any) -> None:
    with pytest.raises(Exception, match=r"INVALID_PARAMETER_VALUE.*is not a whole number"):
        client.invoke(pd.DataFrame([{**ROW, "age": "old"}]))


def test_sagemaker_finds_a_container_on_port_8080(
    trained_root: Path, tmp_path: Path, serve: Callable[..., Any]
) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8080)) == 0:
            pytest.skip("port 8080 is taken")
    root = tmp_path / "project"
    shutil.copytree(trained_root, root)
    server = serve(root, "--workers", "1", "--port", "8080")
    assert server.port == 8080
    assert server.ask("GET", "/ping").status == 200
    sent = b"age,plan,spend,active\n30,free,12.5,false\n"
    reply = server.ask("POST", "/invocations", sent, kind="text/csv", Accept="application/json")
    assert (reply.status, list(reply.body)) == (200, ["predictions"])


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize(
    ("path", "kind", "body", "wanted"),
    [
        ("/invocations", "text/csv; charset=utf-8", "age,plan,spend,active\n30,free,,true", 200),
        ("/models/churn/invocations", "application/json", json.dumps({"inputs": [ROW]}), 200),
        ("/models/other/invocations", "application/json", json.dumps({"inputs": [ROW]}), 404),
        ("/invocations", "application/vnd.apache.parquet", "PAR1", 415),
        ("/invocations", "application/json", "{", 400),
    ],
)
def test_curl_gets_an_answer_or_a_reason(
    server: Any, path: str, kind: str, body: str, wanted: int
) -> None:
    command = ["curl", "-s", "-w", "\n%{http_code}", "-H", f"Content-Type: {kind}"]
    url = f"http://127.0.0.1:{server.port}{path}"
    done = subprocess.run(
        [*command, "--data-binary", body, url], capture_output=True, text=True, check=True
    )
    document, _, status = done.stdout.rpartition("\n")
    assert int(status) == wanted
    assert ("predictions" if wanted == 200 else "error_code") in json.loads(document)


@pytest.mark.parametrize("mark", ["NA", '"NA"', "null", "N/A", "nan", "#N/A", "None"])
def test_in_a_text_of_a_csv_a_mark_is_a_label(mixed: Any, message: Any, mark: str) -> None:
    ((_, _, plan, spend, _),) = mlflow.decode(
        mixed, message(_csv(f",1,{mark},NA,1"), "text/csv")
    ).rows
    assert (plan, spend) == (mark.strip('"'), None)


@pytest.mark.parametrize(("cell", "value"), [("", None), ('""', ""), ('"a""b"', 'a"b')])
def test_an_empty_cell_of_a_csv_is_missing_unless_it_is_quoted(
    mixed: Any, message: Any, cell: str, value: Any
) -> None:
    body = _csv(f",1,{cell},1.5,1", ',"2","",,1')
    first, second = mlflow.decode(mixed, message(body, "text/csv")).rows
    assert (first[2], second[1:4]) == (value, (2, "", None))


def test_a_quote_out_of_place_beside_empty_quotes_is_refused(mixed: Any, message: Any) -> None:
    for line in (',1,"",1.5,"1', ',1,"a"b,"",1'):
        with pytest.raises(RefusedError, match="not valid CSV"):
            mlflow.decode(mixed, message(_csv(line), "text/csv"))


@pytest.fixture
def german(mixed: Reader) -> Reader:
    """A reader for a model whose files have 1.000 for a thousand, and - and free for nothing."""
    reader = Reader(mixed.schema)
    reader.csv = CsvHabits(frozenset({"-", "free"}), ".")
    return reader


def test_what_is_missing_in_the_files_of_the_dataset_is_missing_in_csv(
    german: Reader, message: Any
) -> None:
    body = _csv("-,1,-,-,1", ",1,free,2.5,1")
    assert mlflow.decode(german, message(body, "text/csv")).rows == [
        (None, 1, None, None, True),
        (None, 1, "free", 2.5, True),  # a label that the model knows
    ]


def test_digits_that_the_files_of_the_dataset_group_are_no_decimals_in_csv(
    german: Reader, message: Any
) -> None:
    for line in (",1.000,free,2,1", ",1,free,26.950,1"):
        with pytest.raises(InvalidInputError, match="grouped digits"):
            mlflow.decode(german, message(_csv(line), "text/csv"))
    rows = mlflow.decode(
        german, message(_csv(",1,free,26.950,1", ",1,free,26.5,1"), "text/csv")
    ).rows
    assert [row[3] for row in rows] == [26.95, 26.5]
