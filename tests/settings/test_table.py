"""Settings: one table, four sources, and errors that say where and how to mend."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit import names
from mlkit.errors import InvalidInputError
from mlkit.settings import sources, table


def _file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "mlkit.toml"
    file.write_text(text)
    return file


def test_every_setting_has_a_default_and_a_help_text() -> None:
    rows = list(table.table())
    assert len(rows) == len({row.name for row in rows})
    assert all(row.help and row.name.count(".") == 1 for row in rows)


def test_an_option_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = _file(tmp_path, "[server]\nport = 1\nworkers = 1\nmax_rows = 1\n")
    environment = {"MLKIT_SERVER_PORT": "2", "MLKIT_SERVER_WORKERS": "2"}
    found = sources.load(file, environment, {"server.port": 3, "server.workers": None}).server
    assert (found.port, found.workers, found.max_rows) == (3, 2, 1)
    assert found.host == "127.0.0.1"


def test_lists_and_booleans_come_from_the_environment() -> None:
    environment = {
        "MLKIT_ALERTS_COMMAND": '["notify", "-v"]',
        "MLKIT_RETRAIN_PROMOTE": "false",
        "MLKIT_TRAIN_HOLDOUT": "0.3",
    }
    found = sources.load(None, environment)
    assert found.alerts.command == ("notify", "-v")
    assert found.retrain.promote is False
    assert found.train.holdout == 0.3


def test_a_model_may_differ_from_the_rest(tmp_path: Path) -> None:
    found = sources.load(_file(tmp_path, '[models.churn]\ndrift_window = "3d"\n'))
    assert found.model("churn").drift_window == "3d"
    assert found.model("spam").drift_window is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprt = 1\n", "did you mean 'port'"),
        ("[servr]\nport = 1\n", "did you mean 'server'"),
        ("[server]\nport = 99999\n", "server.port"),
        ('[log]\nkeep = "1 year"\n', 'log.keep must be of the form of "90m", "36h", "7d"'),
        ('[retrain]\non = "weekly"\n', 'retrain.on must be one of "alert", "always", "never"'),
        ('[models.a]\nretrain_on = "x"\n', 'retrain_on must be one of "alert", "always"'),
        ('[models.a]\ndrift_window = "x"\n', 'drift_window must be of the form of "90m"'),
        ('[drift]\nwindow = "1x"\n', "drift.window"),
        ("[server\n", "not valid TOML"),
        ("server.port = 1\n[server]\n", "put all settings of a table into one place"),
        pytest.param("a = " + "[" * 100_000, "is nested too deeply", id="deep"),
        ('[datasets.a]\nquery = "SELECT 1"\n', "a query needs a source, the URL of its database"),
        ('[datasets.a]\nviews = ["v"]\n', "views and on_demand need a base, the dataset"),
        ('[datasets.a]\nsource = "a.csv"\non_demand = ["f"]\n', "on_demand need a base"),
        ('[models.a]\ncolour = "red"\n', "[models.a]: unknown setting 'colour'; known: "),
        (
            '[datasets.a]\nbase = "b"\n[datasets.z]\nquerry = "x"\n',
            "[datasets.z]: unknown setting 'querry'; did you mean 'query'",
        ),
        ("[server]\nx = 1\n", "[server]: unknown setting 'x'; known: host, "),
        ('[features]\nlate_after = "20s"\n', '"2w" (minutes, hours, days or weeks)'),
    ],
)
def test_a_wrong_file_is_named_with_the_setting_and_the_rule(
    tmp_path: Path, text: str, said: str
) -> None:
    file = _file(tmp_path, text)
    with pytest.raises(InvalidInputError) as caught:
        sources.load(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(InvalidInputError, match="MLKIT_SERVER_PORT"):
        sources.load(None, {"MLKIT_SERVER_PORT": "many"})
    with pytest.raises(InvalidInputError, match="MLKIT_SERVER_PORT"):
        sources.load(None, {"MLKIT_SERVER_PORT": "[" * 30_000})


@given(st.integers(1, 10_000), st.sampled_from("mhdw"))
def test_a_duration_is_a_number_and_a_unit(number: int, unit: str) -> None:
    seconds = {"m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    assert table.duration(f"{number}{unit}") == timedelta(seconds=number * seconds)


@pytest.mark.parametrize("text", ["99999999999d", "9" * 5000 + "m", "52500w"])
def test_a_duration_longer_than_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is longer than a thousand years"):
        table.duration(text)


@given(st.text(max_size=8))
def test_any_text_is_a_duration_or_a_clear_error(text: str) -> None:
    valid = re.fullmatch(r"0*[1-9][0-9]*[mhdw]", text, re.ASCII) is not None
    if valid:
        assert table.duration(text) > timedelta(0)
    else:
        with pytest.raises(InvalidInputError, match="is not a duration"):
            table.duration(text)


@pytest.mark.parametrize("name", ["churn", "a", "0", "credit-risk.v2_eu", "x" * 64])
def test_a_plain_name_is_accepted(name: str) -> None:
    assert names.check("model", name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a..b",
        "../x",
        "a/b",
        "a\\b",
        "A",
        "-a",
        "a b",
        "%2e",
        "x" * 65,
        "a\n",
        "ä",
        "a\0",
    ],
)
def test_a_name_that_could_be_a_path_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot name a model"):
        names.check("model", name)
