import gzip
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlkit.project import Project
from mlkit.store import audit, datasets

Churn = Callable[..., pd.DataFrame]
TEXT = "since,age,plan,churned\n" + "".join(
    f"2026-01-{1 + i % 28:02d},{20 + i % 40},{'ab'[i % 2]},{'no' if i % 3 else 'yes'}\n"
    for i in range(120)
)
LINES = TEXT.splitlines(keepends=True)


def _column(name: str, value: str) -> bytes:
    """Return the good rows with one more column of the same value."""
    return "".join([LINES[0].replace("\n", f",{name}\n")] + [
        line.replace("\n", f",{value}\n") for line in LINES[1:]
    ]).encode()  # fmt: skip


def _wide(rows: int, columns: int) -> bytes:
    values = np.random.default_rng(0).integers(0, 9, (rows, columns))
    frame = pd.DataFrame(values, columns=[f"c{i}" for i in range(columns)])
    frame["churned"] = ["yes", "no"] * (rows // 2)
    return frame.to_csv(index=False).encode()


REFUSED = {
    "empty": (b"", 1, "is empty"),
    "blank": (b"\n\n", 1, "is empty"),
    "header only": (LINES[0].encode(), 1, "header but no rows"),
    "duplicate names": (b"a,a,churned\n1,2,yes\n", 1, "more than one column named 'a'"),
    "ragged": (TEXT.encode() + b"1,2\n", 1, "4 columns but row 121 has 2"),
    "unclosed quote": (TEXT.encode() + b'2026-01-01,"30,a,no\n', 1, "row 121 has 2"),
    "latin-1": (TEXT.replace("no\n", "né\n").encode("latin-1"), 1, "is not UTF-8: byte 0xe9"),
    "utf-16 without mark": (TEXT.encode("utf-16-le"), 1, "byte order mark"),
    "nul": (TEXT.encode() + b"2026-01-01,30,a\x00b,no\n", 1, "NUL character in row 121"),
    "escape in a name": (_column("x\x1b[2J", "1"), 1, "control characters"),
    "cut gzip": (gzip.compress(TEXT.encode())[:-9], 1, "is damaged"),
    "cut parquet": (b"PAR1\x00\x00", 1, "cannot read"),
    "a workbook": (b"PK\x03\x04" + bytes(99), 1, "Excel"),
    "no target": (b"age,plan\n30,a\n", 1, "no column 'churned' for --target"),
    "a target without values": (
        TEXT.replace(",yes\n", ",\n").replace(",no\n", ",\n").encode(), 3, "target_present",
    ),
    "a time that is none": (TEXT.replace("2026-01-01", "soon").encode(), 3, "type(datetime)"),
    "a time with gaps": (TEXT.replace("2026-01-01", "").encode(), 3, "not_nullable"),
}  # fmt: skip

NAMED = {
    "one class": (TEXT.replace(",yes\n", ",no\n").encode(), "constant_target"),
    "constant column": (_column("k", "7"), "constant_column"),
    "all missing column": (_column("gaps", ""), "all_missing_column"),
    "infinity": (_column("x", "1.5").replace(b",1.5\n", b",inf\n", 3), "infinite"),
    "2**63": (_column("x", "3").replace(b",3\n", b",9223372036854775808\n", 1), "digits_as_text"),
    "400 digits": (
        _column("x", "3").replace(b",3\n", b"," + b"9" * 400 + b"\n", 1),
        "digits_as_text",
    ),
    "mixed types": (_column("x", "3").replace(b",3\n", b",three\n", 2), "mixed_types"),
    "a copy of the target": (
        "".join(line.replace("\n", "," + line.rpartition(",")[2]) for line in LINES)
        .replace("churned,churned", "churned,leak").encode(),
        "target_copy",
    ),
    "a target with gaps": (TEXT.replace(",yes\n", ",\n", 3).encode(), "missing_target"),
    "repeated rows": (TEXT.encode() + LINES[5].encode(), "duplicated_rows"),
    "hostile name": (_column("a;drop table--", "1"), "odd_name"),
}  # fmt: skip

FINE = {
    "nan": _column("x", "3.5").replace(b",3.5\n", b",NaN\n", 5).replace(b",3.5\n", b",4.5\n", 9),
    "byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "utf-16": TEXT.encode("utf-16"),
    "crlf": TEXT.replace("\n", "\r\n").encode(),
    "cr": TEXT.replace("\n", "\r").encode(),
    "gzip": gzip.compress(TEXT.encode()),
    "semicolons": TEXT.replace(",", ";").encode(),
}


def _write(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "poison.csv"
    file.write_bytes(content)
    return file


def _traces(root: Path) -> set[str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {
        str(file) for file in files if "locks" not in file.parts and "ml.sqlite" not in file.name
    }


@pytest.mark.parametrize("case", REFUSED)
def test_poisoned_input_is_refused_with_its_cause_and_leaves_no_trace(
    cli: Any, project: Project, tmp_path: Path, case: str
) -> None:
    content, code, cause = REFUSED[case]
    before = _traces(project.root)
    file = _write(tmp_path, content)
    words = ("data", "add", "churn", file, "--target", "churned", "--time", "since")
    if case == "no target":
        words = words[:6]
    result = cli(*words, code=code)
    assert cause in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert cause in cli.json(*words, code=code)["error"]
    assert _traces(project.root) == before
    assert cli.json("data", "list") == []


@pytest.mark.parametrize("case", NAMED)
def test_odd_input_is_kept_with_a_named_warning(cli: Any, tmp_path: Path, case: str) -> None:
    content, name = NAMED[case]
    words = ("data", "add", "churn", _write(tmp_path, content), "--target", "churned")
    added = cli.json(*words, "--time", "since")
    assert name in [warning.partition(":")[0] for warning in added["warnings"]]
    assert added["new"] is True
    assert f"warning: {name}" in cli("data", "show", "churn").stdout


@pytest.mark.parametrize("case", FINE)
def test_harmless_input_is_just_added(cli: Any, tmp_path: Path, case: str) -> None:
    words = ("data", "add", "churn", _write(tmp_path, FINE[case]), "--target", "churned")
    assert cli.json(*words, "--time", "since")["warnings"] == []


def test_ten_thousand_columns_are_named_and_kept(cli: Any, tmp_path: Path) -> None:
    file = _write(tmp_path, _wide(20, 10_000))
    added = cli.json("data", "add", "wide", file, "--target", "churned")
    assert [w for w in added["warnings"] if w.startswith("wide_table: 10,001 columns")]
    assert "and 9,801 more columns" in cli("data", "show", "wide").stdout


def test_parquet_is_read_whatever_its_types_are(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    table = pa.table({
        "plan": pa.array(["a", "b"] * 60).dictionary_encode(),
        "big": pa.array([2**63 + 5, 1] * 60, pa.uint64()),
        "price": pa.array([1, None] * 60, pa.decimal128(9, 2)),
        "day": pa.array(range(120), pa.int32()).cast(pa.date32()),
    })  # fmt: skip
    pq.write_table(table, file)
    shown = cli.json("data", "show", "x") if cli.json("data", "add", "x", file) else None
    types = {column["name"]: column["type"] for column in shown["columns"]}
    assert types == {"plan": "text", "big": "text", "price": "number", "day": "datetime"}


def test_a_refusal_lists_every_failing_column_rule_and_example_rows(
    cli: Any, tmp_path: Path, churn: Churn, churn_csv: Path
) -> None:
    added = cli.json("data", "add", "churn", churn_csv, "--target", "churned", "--time", "since")
    assert set(added) == {"dataset", "version", "rows", "sha256", "warnings", "new", "read_as"}
    bad = churn()
    bad.loc[2, "age"], bad["plan"] = 900, "gold"
    file = tmp_path / "bad.csv"
    bad.drop(columns="active").to_csv(file, index=False)
    document = cli.json("data", "add", "churn", file, code=3)
    assert set(document) >= {"error", "dataset", "failures"}
    failures = {failure["column"]: failure for failure in document["failures"]}
    assert failures["age"] == {
        "column": "age", "rule": "in_range(0, 140)", "count": 1,
        "examples": [{"row": 3, "value": 900}],
    }  # fmt: skip
    assert failures["active"]["rule"] == "column_present"
    assert (failures["plan"]["count"], len(failures["plan"]["examples"])) == (400, 5)
    text = cli("data", "add", "churn", file, code=3).stderr
    assert "'age': in_range(0, 140) broken in 1 rows, first 900 in row 3" in text
    assert "schemas/churn.yaml" in text
    assert len(cli.json("data", "show", "churn")["versions"]) == 1


def test_validate_says_yes_or_no_and_adds_nothing(
    cli: Any, tmp_path: Path, churn: Churn, churn_csv: Path
) -> None:
    cli("data", "add", "churn", churn_csv, "--target", "churned")
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    churn(seed=1).to_csv(good, index=False)
    churn().assign(age=-5).to_csv(bad, index=False)
    assert cli.json("data", "validate", "churn", good) == {
        "dataset": "churn", "rows": 400, "warnings": [], "valid": True, "set_aside": 0,
    }  # fmt: skip
    assert "400 rows pass every rule" in cli("data", "validate", "churn", good).stdout
    document = cli.json("data", "validate", "churn", bad, code=3)
    assert (document["valid"], document["failures"][0]["column"]) == (False, "age")
    assert "no dataset named 'nope'" in cli("data", "validate", "nope", good, code=1).stderr
    assert len(cli.json("data", "show", "churn")["versions"]) == 1


def test_a_person_reads_what_was_added_and_that_the_same_bytes_are_there_already(
    cli: Any, churn_csv: Path
) -> None:
    words = ("data", "add", "churn", churn_csv, "--target", "churned", "--time", "since")
    first = cli(*words).stdout
    assert "added churn@1: 400 rows" in first
    assert "schemas/churn.yaml" in first
    assert "these rows are churn@1 already; no new version" in cli(*words).stdout
    assert cli.json(*words)["new"] is False


def test_list_show_and_diff_are_readable(
    cli: Any, tmp_path: Path, churn: Churn, churn_csv: Path
) -> None:
    assert "no datasets yet" in cli("data", "list").stdout
    cli("data", "add", "churn", churn_csv, "--target", "churned", "--time", "since")
    older = churn(seed=1)
    older["age"] += 20
    older.to_csv(tmp_path / "older.csv", index=False)
    cli("data", "add", "churn", tmp_path / "older.csv")
    assert "churned" in cli("data", "list").stdout
    shown = cli("data", "show", "churn@1").stdout
    assert "free, basic, pro" in shown
    assert "18 to 79" in shown
    text = cli("data", "diff", "churn").stdout
    assert "churn@1 -> churn@2: 400 -> 400 rows" in text
    assert "distributions: drift" in text
    document = cli.json("data", "diff", "churn@1", "2")
    assert set(document) == {"old", "new", "same", "rows", "columns", "rules", "keys", "drift"}
    assert "no version 9" in cli("data", "diff", "churn@9", code=1).stderr


def test_long_values_are_shown_by_their_beginnings(cli: Any, tmp_path: Path) -> None:
    long = "g" * 50_000
    cli("data", "add", "churn", _write(tmp_path, TEXT.encode()))
    other = _write(tmp_path, TEXT.replace(",a,", f",{long},").encode())
    refused = cli("data", "add", "churn", other, code=3).stderr
    assert "'plan' has the new value 'ggg" in refused
    assert "add them to 'isin' of 'plan' in schemas/churn.yaml\n" in refused
    assert len(refused) < 2_000
    cli("data", "add", "later", other)
    shown = cli("data", "diff", "churn@1", "later@1").stdout
    assert "... (" in shown
    assert len(shown) < 5_000


def test_values_that_steer_a_terminal_are_shown_without_effect(cli: Any, tmp_path: Path) -> None:
    content = TEXT.replace(",a,", ",\x1b[31mred,").encode()
    cli("data", "add", "churn", _write(tmp_path, content))
    assert "\x1b" not in cli("data", "show", "churn").stdout


@pytest.mark.parametrize("moment", ["data.stored", "data.recorded"])
def test_a_killed_add_leaves_nothing_half_made(
    cli: Any, project: Project, churn_csv: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    words = ("data", "add", "churn", churn_csv, "--target", "churned", "--time", "since")
    monkeypatch.setenv("MLKIT_FAILPOINT", moment)
    assert cli.process(*words).returncode == -signal.SIGKILL
    monkeypatch.delenv("MLKIT_FAILPOINT")
    with project.read() as s:
        for version in s.query(datasets.DatasetVersion):
            assert project.data.read(version.sha256)
    assert cli.json(*words)["version"] == 1
    assert (project.schemas_dir / "churn.yaml").is_file()
    assert len(cli.json("data", "show", "churn")["versions"]) == 1


def test_the_process_ends_with_the_code_and_one_document(cli: Any, churn_csv: Path) -> None:
    done = cli.process("data", "add", "churn", churn_csv, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("{")


def test_a_diff_says_which_customers_came_went_and_changed(cli: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    rows = pd.DataFrame({"who": [f"c{n}" for n in range(60)], "x": range(60), "y": [1.5] * 60})
    rows.to_csv(first, index=False)
    later = rows.iloc[1:].assign(x=lambda t: t["x"] + (t["who"] == "c7"))
    pd.concat([later, pd.DataFrame({"who": ["c60"], "x": [60], "y": [1.5]})]).to_csv(
        second, index=False
    )
    cli("data", "add", "people", first, "--entity", "who")
    cli("data", "add", "people", second)
    found = cli.json("data", "diff", "people")["keys"]
    assert (found["added"], found["removed"], found["changed"], found["same"]) == (1, 1, 1, 58)
    assert found["columns"] == [{"column": "x", "rows": 1}]
    said = cli("data", "diff", "people").stdout
    assert "rows by who: 1 added, 1 removed, 1 changed, 58 same" in said
    assert "first changed: c7" in said


def test_a_refused_file_is_mended_by_the_commands_that_the_refusal_names(
    cli: Any, project: Project, tmp_path: Path, churn: Churn, churn_csv: Path
) -> None:
    cli("data", "add", "churn", churn_csv, "--target", "churned")
    file = tmp_path / "next.csv"
    churn(seed=1).replace({"plan": {"pro": "gold"}}).to_csv(file, index=False)
    refused = cli.json("data", "add", "churn", file, code=3)
    assert refused["new_values"] == {"plan": ["gold"]}
    (aside,) = cli.json("data", "quarantine", "churn")
    assert aside["file"] == refused["quarantine"]
    assert aside["file"] in cli("data", "quarantine").stdout
    words = ("data", "rules", "churn", "--accept", "plan=gold")
    assert cli(*words).stdout == "schemas/churn.yaml allows plan=gold now\n"
    with project.read() as s:
        last = audit.last_event(s)
        assert last is not None
        assert last.details == {"accepted": {"plan": 1}}
    assert cli.json("data", "add", "churn", file)["version"] == 2
    assert "removed quarantine/" in cli("data", "quarantine", "--remove", "churn").stdout
    assert "no rows are set aside" in cli("data", "quarantine").stdout
    assert "no quarantine file" in cli("data", "quarantine", "--remove", "x", code=1).stderr


def test_the_rules_are_shown_as_they_are_checked(cli: Any, churn_csv: Path, tmp_path: Path) -> None:
    cli("data", "add", "churn", churn_csv, "--target", "churned")
    shown = cli.json("data", "rules", "churn")
    assert {"column": "age", "rule": "in_range(0, 140)", "level": "error"} in shown["rules"]
    assert "in_range(0, 140)" in cli("data", "rules", "churn").stdout
    assert "is no COLUMN=VALUE" in cli(
        "data", "rules", "churn", "--accept", "plan", code=1
    ).stderr  # fmt: skip
    assert "no dataset named 'nope'" in cli("data", "rules", "nope", code=1).stderr


def test_validate_writes_the_failing_rows_where_it_is_told_to(
    cli: Any, tmp_path: Path, churn: Churn, churn_csv: Path
) -> None:
    cli("data", "add", "churn", churn_csv, "--target", "churned")
    bad, out = tmp_path / "bad.csv", tmp_path / "out.csv"
    churn().assign(age=-5).to_csv(bad, index=False)
    document = cli.json("data", "validate", "churn", bad, "--quarantine", out, code=3)
    assert document["quarantine"] == str(out)
    assert pd.read_csv(out)["_reasons"].unique().tolist() == ["age: in_range(0, 140)"]


def test_validate_counts_the_rows_that_would_be_set_aside(
    cli: Any, tmp_path: Path, churn: Churn, churn_csv: Path
) -> None:
    cli("data", "add", "churn", churn_csv, "--target", "churned")
    rules = cli.root / "schemas" / "churn.yaml"
    rules.write_text(rules.read_text() + "quarantine: 0.1\n")
    frame, odd = churn(seed=1), tmp_path / "odd.csv"
    frame.loc[[2, 3], "age"] = 900
    frame.to_csv(odd, index=False)
    assert "398 of 400 rows pass every rule" in cli("data", "validate", "churn", odd).stdout
    found = cli.json("data", "validate", "churn", odd)
    assert (found["rows"], found["set_aside"], found["valid"]) == (400, 2, True)


def test_a_missing_column_is_told_with_those_that_are_new(
    cli: Any, tmp_path: Path, churn: Churn, churn_csv: Path
) -> None:
    cli("data", "add", "churn", churn_csv, "--target", "churned")
    churn(seed=1).rename(columns={"age": "years"}).to_csv(tmp_path / "new.csv", index=False)
    said = cli("data", "add", "churn", tmp_path / "new.csv", code=3).stderr
    assert "'age': there is no such column" in said
    assert "the schema does not know 'years': has a column been renamed?" in said


def test_a_pull_of_what_only_the_settings_know_says_how_to_begin(cli: Any, churn_csv: Path) -> None:
    (cli.root / "mlkit.toml").write_text(f'[datasets.y]\nsource = "{churn_csv}"\n')
    assert "make the first one" in (said := cli("data", "pull", "y", code=1).stderr)
    assert "mlkit data add y" in said


def test_what_to_write_into_the_settings_is_toml(cli: Any, churn_csv: Path) -> None:
    cli("data", "add", "erp", churn_csv)
    lines = cli("data", "pull", "erp", code=1).stderr.splitlines()
    start = lines.index('[datasets."erp"]')
    (cli.root / "mlkit.toml").write_text(
        "\n".join(lines[start : start + 2]).replace("FILE", str(churn_csv))
    )
    cli("data", "pull", "erp")
