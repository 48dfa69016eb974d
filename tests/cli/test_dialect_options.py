"""Wherever a file is read, how it is written can be said."""

from typing import Any

import pytest

_OPTIONS = (
    "--delimiter",
    "--encoding",
    "--decimal",
    "--thousands",
    "--missing",
    "--no-header",
    "--names",
)


@pytest.mark.parametrize(
    "command",
    [("data", "add"), ("data", "validate"), ("predict",), ("actual", "add"), ("drift", "compare")],
    ids=" ".join,
)
def test_every_command_that_reads_a_file_has_the_options(
    cli: Any, command: tuple[str, ...]
) -> None:
    text = cli(*command, "--help").stdout
    assert [option for option in _OPTIONS if option not in text] == []


def test_files_to_compare_are_read_as_is_said(cli: Any, tmp_path: Any) -> None:
    for name, shift in (("ref", 0), ("cur", 0)):
        rows = "".join(f"{n % 90 + shift}.{n % 10}00,5;NA\n" for n in range(300))
        (tmp_path / f"{name}.csv").write_text("km;r\n" + rows)
    found = cli.json(
        "drift", "compare", tmp_path / "ref.csv", tmp_path / "cur.csv",
        "--decimal", ",", "--thousands", ".", "--missing", "NA",
    )  # fmt: skip
    kinds = {feature["name"]: feature["kind"] for feature in found["features"]}
    assert "km" in kinds
    assert found["verdict"] == "stable" or found["drifted"] == []
