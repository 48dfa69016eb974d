from pathlib import Path
from typing import Any

import pytest


def test_train_prints_the_contract_as_json(trained_cli: Any) -> None:
    done = trained_cli.json("train", "churn", "--data", "churn@1", "--estimator", "linear")
    assert done["model"] == "churn"
    assert done["version"] == 2
    assert set(done["metrics"]) == set(done["intervals"])
    assert done["verdict"]["accepted"] is False
    assert done["verdict"]["reason"].startswith("kept v1")
    assert done["promoted"] is False
    assert done["warnings"] == []


def test_train_tells_a_person_what_to_do_next(trained_cli: Any) -> None:
    said = trained_cli("train", "other", "--data", "churn").stdout
    assert "gate: accepted: beats the dummy" in said
    assert "mlkit model promote other 1" in said
    promoted = trained_cli("train", "another", "--data", "churn", "--promote").stdout
    assert "promoted: v1 is the champion of another" in promoted


def test_check_turns_a_refusal_into_exit_code_3(trained_cli: Any) -> None:
    words = ("train", "churn", "--data", "churn", "--estimator", "linear")
    refused = trained_cli.json(*words, "--check", code=3)
    assert refused["verdict"]["accepted"] is False
    assert refused["version"] == 2
    trained_cli(*words, code=0)


def test_train_as_a_process(trained_cli: Any) -> None:
    ran = trained_cli.process("train", "churn", "--data", "nothing")
    assert ran.returncode == 1
    assert "no dataset named 'nothing'; known: churn" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("words", [("--tune", "-1"), ("--task", "guess"), ()])
def test_wrong_use_is_exit_code_2(trained_cli: Any, words: Any) -> None:
    trained_cli("train", "churn", *words, code=2)


ROWS = [f"{i},{i * 7 % 11},{i % 3}" for i in range(120)]


@pytest.mark.parametrize(
    ("header", "rows", "code", "message"),
    [
        ("a,b,y", [f"{i},{i * 7 % 11},same" for i in range(120)], 1, "one value ('same')"),
        ("a,b,y", [f"{i},{i * 7 % 11}," for i in range(120)], 1, "no row has a value"),
        ("a,b,y", [f"{i},{i * 7 % 11},k{i}" for i in range(120)], 1, "120 classes"),
        ("a,b,y", [*ROWS[:-1], "5,5,99"], 1, "too few rows of a class"),
        ("a,b,y", [f"{i},{i * 7 % 11},{i}e+300" for i in range(120)], 1, "beyond 1e+100"),
        ("a,y", [f",{i % 3}" for i in range(120)], 0, "all_missing"),
        ("a,b,y", [f"7,{i * 7 % 11},{i % 3}" for i in range(120)], 0, "constant_column"),
        ("a,b,y", [f"{i % 3},{i * 7 % 11},{i % 3}" for i in range(120)], 0, "leaking_target"),
        ("a,b,y", [f"1e+308,{i}e+305,{i % 3}" for i in range(120)], 1, "beyond 3.4e+38"),
        ("a,b,y", [f"{i},{2**63 - 1 - i},{i % 3}" for i in range(120)], 0, "gate:"),
        ("y", [f"{i % 3}" for i in range(120)], 1, "no column besides the target"),
    ],
    ids=[
        "one class", "no target", "too many classes", "a rare class", "huge target", "all missing",
        "constant", "leak", "overflow", "big integers", "no inputs",
    ],
)  # fmt: skip
def test_poisoned_rows_are_refused_or_named(
    cli: Any, tmp_path: Path, header: Any, rows: Any, code: Any, message: str
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    added = cli("data", "add", "poison", file, "--target", "y", code=None)
    if added.exit_code:
        assert added.exit_code in (1, 3)
        assert "Traceback" not in added.output
        return
    done = cli("train", "m", "--data", "poison", code=code)
    assert message in done.output
    if code:
        listed = cli.json("model", "list")
        assert listed == []


def test_ten_thousand_columns_are_learned_from(cli: Any, tmp_path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    columns = {f"c{i}": rng.random(60) for i in range(10_000)}
    columns["y"] = columns["c0"] * 3 + rng.random(60)
    pq.write_table(pa.table(columns), tmp_path / "wide.parquet")
    cli("data", "add", "wide", tmp_path / "wide.parquet", "--target", "y")
    done = cli.json("train", "m", "--data", "wide", "--estimator", "linear")
    assert done["version"] == 1
