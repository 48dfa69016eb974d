"""A file for a model is read as the files of its dataset are."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import structs

from mlkit.errors import InvalidInputError
from mlkit.flows import predict
from mlkit.flows.data import ingest
from mlkit.flows.data.file_source import FileSource
from mlkit.flows.log import actual_file, logs
from mlkit.flows.registry import deploy, model_files
from mlkit.flows.training import train
from mlkit.project import Project
from mlkit.provenance import Stated
from mlkit.steps.inputs.rows import CsvHabits
from mlkit.store import predictions
from mlkit.store.base import new_ids
from mlkit.store.log_columns import Entry

PLAIN = Stated(decimal=".", thousands=",")
GERMAN = Stated(decimal=",", thousands=".")


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", ".")


def _autos(project: Project, stated: Stated = GERMAN, *, header: bool = True) -> Project:
    """Train ``autos``, whose file has 120.000 km for 120,000."""
    rng = np.random.default_rng(0)
    lines = ["km;ps;preis"] if header else []
    for _ in range(200):
        km, ps = int(rng.integers(1_000, 200_000)), int(rng.integers(50, 200))
        price = 45_000 - 0.15 * km + 10 * ps
        lines.append(f"{_grouped(km)};{ps};{_grouped(int(price))},5")
    file = project.root / "autos.csv"
    file.write_text("\n".join(lines) + "\n")
    target = "preis" if header else "c3"
    ingest.add(project, "autos", FileSource(file, stated), target=target)
    train.train(project, "autos", "autos", estimator="linear", promote=True)
    return project


@pytest.fixture
def autos(project: Project) -> Project:
    return _autos(project)


def _predicted(project: Project, content: str, **how: Any) -> list[float]:
    file = project.root / "new.csv"
    file.write_text(content, encoding=how.pop("encoding", "utf-8"))
    predict.predict(project, "autos", file, output=project.root / "out.parquet", **how)
    found: list[float] = pq.read_table(project.root / "out.parquet")["prediction"].to_pylist()
    return found


@pytest.fixture
def expected(autos: Project) -> list[float]:
    pq.write_table(pa.table({"km": [120_000, 2_000], "ps": [99, 101]}), autos.root / "new.parquet")
    predict.predict(
        autos, "autos", autos.root / "new.parquet", output=autos.root / "expected.parquet"
    )
    found: list[float] = pq.read_table(autos.root / "expected.parquet")["prediction"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("content", "stated"),
    [
        ("km;ps\n120.000;99\n2.000;101\n", Stated()),
        ("km;ps\n120.000,0;99\n2000;101\n", Stated()),
        ("km,ps\n120000,99\n2000,101\n", Stated()),
        ('"km","ps"\n"120.000","99"\n"2.000","101"\n', Stated()),
        ("km,ps\n120000.0,99\n2000.0,101\n", Stated(decimal=".", thousands=",")),
    ],
    ids=["grouped", "with decimals", "commas between", "quoted", "said otherwise"],
)
def test_what_was_said_of_the_dataset_holds_for_a_file_to_predict(
    autos: Project, expected: list[float], content: str, stated: Stated
) -> None:
    assert _predicted(autos, content, stated=stated) == expected


def test_a_number_that_is_written_otherwise_is_refused_with_its_row(autos: Project) -> None:
    with pytest.raises(
        InvalidInputError, match=r"row 2, column 'km': '2000.5' is not a number.*--dec"
    ):
        _predicted(autos, "km;ps\n120.000;99\n2000.5;101\n")


def test_digits_that_look_grouped_are_refused_where_decimal_commas_were_found_out(
    project: Project,
) -> None:
    rows = "".join(f"{n % 90},5;{n % 5};{n % 90 * 3 + n % 5}\n" for n in range(200))
    (project.root / "found.csv").write_text("km;ps;preis\n" + rows)
    ingest.add(project, "autos", project.root / "found.csv", target="preis")
    train.train(project, "autos", "autos", estimator="linear", promote=True)
    with pytest.raises(InvalidInputError, match=r"'26.950', which is .* say --decimal"):
        _predicted(project, "km;ps\n26.950;1\n")
    assert len(_predicted(project, "km;ps\n26.950;1\n", stated=Stated(decimal="."))) == 1


def test_a_retrained_model_still_reads_as_the_file_behind_its_dataset(
    autos: Project, expected: list[float]
) -> None:
    pq.write_table(
        pa.table({"km": [120_000, 2_000] * 20, "ps": [9, 7] * 20, "preis": [1.5, 2.5] * 20}),
        autos.root / "typed.parquet",
    )
    ingest.add(autos, "autos", autos.root / "typed.parquet")  # the newest version is no CSV
    assert _predicted(autos, "km;ps\n120.000;99\n2.000;101\n") == expected


def test_a_file_without_a_header_is_read_like_the_one_of_the_dataset(project: Project) -> None:
    _autos(project, Stated(decimal=",", thousands=".", header=False), header=False)
    first = _predicted(project, "120.000;99\n2.000;101\n")
    assert first == _predicted(project, "c1;c2\n120.000;99\n2.000;101\n")
    assert first == _predicted(project, "120.000;99;1\n2.000;101;1\n")
    with pytest.raises(InvalidInputError, match=r"has 1 columns, .* name its columns with --names"):
        _predicted(project, "120.000\n")


def _served(project: Project) -> list[str]:
    """Log two answers of the model and return their ids."""
    loaded = deploy.load_version(project, deploy.find_version(project, "autos"))
    ids = new_ids(project.now(), 2)
    entry = Entry(
        request_id=ids[0], model_id=loaded.model_id, version_id=loaded.version_id,
        version=loaded.version, role="champion", latency_us=100,
        served_us=int(project.now().timestamp() * 1e6), ids=ids, entities=[None, None],
        features=[(120_000, 99), (2_000, 101)], values=[27_000.0, 44_000.0], probabilities=None,
    )  # fmt: skip
    with project.write() as s:
        predictions.add(s, [entry])
    return ids


def _actuals(project: Project, content: str, **how: Any) -> list[Any]:
    file = project.root / "actuals.csv"
    file.write_text(content.format(*_served(project)))
    actual_file.add(project, file, **how)
    values: list[Any] = logs.read(project, "autos", actuals="required")["_actual"].to_pylist()
    return sorted(values)


@pytest.mark.parametrize(
    ("content", "stated", "values"),
    [
        ("prediction_id;actual\n{};26.950\n{};44.000\n", None, [26_950.0, 44_000.0]),
        ("prediction_id;actual\n{};26.950,25\n{};44,5\n", None, [44.5, 26_950.25]),
        ("prediction_id,actual\n{},26950\n{},-4\n", None, [-4.0, 26_950.0]),
        ("prediction_id,actual\n{},26.95\n{},4e1\n", PLAIN, [26.95, 40.0]),
    ],
)  # fmt: skip
def test_actuals_are_read_as_the_files_of_the_dataset(
    autos: Project, content: str, stated: Any, values: list[float]
) -> None:
    assert _actuals(autos, content, stated=stated) == values


def test_numbers_that_are_written_as_ids_are_told_of(autos: Project) -> None:
    file = autos.root / "new.csv"
    file.write_text("km;ps\n2.000;99\n0120000;99\n02.000;099\n")
    done = predict.predict(autos, "autos", file, output=autos.root / "out.csv")
    assert [warning.split(", which")[0] for warning in done.warnings] == [
        "leading_zero: 'km' has '0120000' in row 2",
        "leading_zero: 'ps' has '099' in row 3",
    ]
    told: list[str] = []
    actual = "prediction_id;actual\n{};026.950\n{};1\n"
    assert _actuals(autos, actual, warn=told.append) == [1.0, 26_950.0]
    assert told[0].startswith("leading_zero: 1 actuals are written as ids are, the first is '026")


def test_hexadecimal_digits_are_no_number(autos: Project) -> None:
    with pytest.raises(InvalidInputError, match=r"row 1, column 'ps': '0x1F' is not"):
        _predicted(autos, "km;ps\n2000;0x1F\n", stated=PLAIN)


def test_texts_of_a_parquet_file_are_no_numbers(autos: Project) -> None:
    ids = _served(autos)
    file = autos.root / "actuals.parquet"
    pq.write_table(pa.table({"prediction_id": ids, "actual": ["26.95", "4"]}), file)
    with pytest.raises(InvalidInputError, match=r"'26\.95' is not a number"):
        actual_file.add(autos, file)


def test_a_byte_order_mark_goes_before_what_was_said_of_the_dataset(
    project: Project,
) -> None:
    rows = "".join(
        f"{'Zürich' if n % 2 else 'Bern'};{n % 5};{n % 2 * 50 + n % 3}\n" for n in range(120)
    )
    (project.root / "o.csv").write_text("ort;x;y\n" + rows, encoding="cp1252")
    source = FileSource(project.root / "o.csv", Stated(encoding="cp1252"))
    ingest.add(project, "orte", source, target="y")
    train.train(project, "autos", "orte", estimator="linear", promote=True)
    text = "ort;x\nZürich;1\n"
    assert _predicted(project, text, encoding="cp1252") == _predicted(
        project, text, encoding="utf-8-sig"
    )
    (project.root / "o.csv").write_text("ort;x;y\n" + rows, encoding="utf-8-sig")
    assert not ingest.add(project, "orte", project.root / "o.csv").new


def test_a_file_in_utf8_is_not_taken_for_the_encoding_of_those_before(project: Project) -> None:
    file = project.root / "o.csv"
    rows = "".join(
        f"{'Zürich' if n % 2 else 'Bern'};{n % 5};{n % 2 * 50 + n % 3}\n" for n in range(120)
    )
    file.write_text("ort;x;y\n" + rows, encoding="cp1252")
    ingest.add(project, "orte", FileSource(file, Stated(encoding="cp1252")), target="y")
    train.train(project, "autos", "orte", estimator="linear", promote=True)
    text = "ort;x\nZürich;1\n"
    with pytest.raises(InvalidInputError, match="is UTF-8, and the files of this dataset are cp12"):
        _predicted(project, text)
    assert _predicted(project, text, stated=Stated(encoding="utf-8"))
    file.write_text("ort;x;y\nZürich;1;2\n")
    with pytest.raises(InvalidInputError, match="say --encoding utf-8, or --encoding cp1252"):
        ingest.add(project, "orte", file)


def test_an_actual_that_is_written_otherwise_stores_nothing(autos: Project) -> None:
    with pytest.raises(InvalidInputError, match=r"'26950.5' is not a number.*nothing was stored"):
        _actuals(autos, "prediction_id;actual\n{};26950.5\n{};44.000\n")
    assert not logs.read(autos, "autos", actuals="required").num_rows


def test_a_known_label_is_that_label_whatever_stands_for_missing(project: Project) -> None:
    rows = "".join(
        f"{'NA' if n % 2 else 'EU'},{n % 5},{50 * (n % 2) + n % 3}\n" for n in range(120)
    )
    (project.root / "sales.csv").write_text("region,x,y\n" + rows)
    ingest.add(project, "sales", project.root / "sales.csv", target="y")
    train.train(project, "autos", "sales", estimator="linear", promote=True)
    same = _predicted(project, 'region,x\nNA,1\n"NA",1\n')
    assert same[0] == same[1] > 30
    assert _predicted(project, "region,x\nNA,1\n", stated=Stated(missing=("NA",))) == same[:1]


def test_rows_that_come_as_csv_over_http_share_the_marks_of_the_files(project: Project) -> None:
    _autos(project, structs.replace(GERMAN, missing=("-",)))
    version_id = deploy.find_version(project, "autos", 1).id
    assert model_files.csv_of_model(project, version_id) == CsvHabits(frozenset({"-"}), ".")
