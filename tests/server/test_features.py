"""What a model has from feature views, a client may leave out of a row."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from mlkit.flows import logs, materialize
from mlkit.project import open_project
from mlkit.server.app import SERVICE, create_app

ROW = {"origin": "JFK", "km": 5.0}
NOON = "2026-02-20T12:10:00+00:00"


class Shop:
    """An open project, its features materialised, and a server in this process."""

    def __init__(self, root: Path) -> None:
        self.project = open_project(root, environment={"MLKIT_CLOCK": str(root / "now")})
        self._client: FlaskClient | None = None

    @property
    def client(self) -> FlaskClient:
        if self._client is None:
            self._client = create_app(self.project).test_client()
        return self._client

    @property
    def service(self) -> Any:
        return self.client.application.extensions[SERVICE]

    def predict(self, *rows: Any, **fields: Any) -> Any:
        return self.post("/predict/trips", {"rows": rows, **fields})

    def post(self, path: str, body: Any, kind: str = "application/json") -> Any:
        text = body if isinstance(body, str) else json.dumps(body)
        return self.client.post(path, data=text, content_type=kind)

    def at(self, moment: str) -> None:
        (self.project.root / "now").write_text(moment)

    def logged(self) -> list[dict[str, Any]]:
        self.service.recorder.stop()
        start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
        found: list[dict[str, Any]] = logs.read(
            self.project, "trips", start=start, end=end
        ).to_pylist()
        return found


@pytest.fixture
def shop(featured_root: Path, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(Path(shutil.copytree(featured_root, tmp_path / "shop")))
    yield made
    made.project.close()


def test_what_was_left_out_is_filled_and_logged(shop: Shop) -> None:
    shop.at(NOON)
    materialize.materialize(shop.project)
    reply = shop.predict(ROW, {**ROW, "origin": "LGA"}, entity_ids=[3, 11])
    assert reply.status_code == 200, reply.json
    first, second = shop.logged()
    assert (first["temp"], first["cold_km"], first["hour"]) == (12.5, 5 * 17.5, 12)
    assert (first["rides"], first["best"], first["_entity"]) == (24, "long", "3")
    assert (second["temp"], second["rides"], second["best"]) == (17.5, 0, "none")
    assert f"{first['seen_at']}".startswith("2026-02-20 11:55")


def test_what_a_row_gives_wins_and_the_rest_is_computed_from_it(shop: Shop) -> None:
    shop.at(NOON)
    materialize.materialize(shop.project)
    rows = [{**ROW, "temp": -10.0}, {**ROW, "hour": 3}, {**ROW, "temp": None}]
    assert shop.predict(*rows, entity_ids=[3, 3, 3]).status_code == 200
    cold, early, unknown = shop.logged()
    assert (cold["temp"], cold["cold_km"], cold["hour"]) == (-10.0, 200.0, 12)
    assert (early["temp"], early["cold_km"], early["hour"]) == (12.5, 87.5, 3)
    assert (unknown["temp"], unknown["cold_km"]) == (None, 150.0)


def test_nobody_and_what_is_too_old_follow_the_policy_and_are_counted(shop: Shop) -> None:
    shop.at(NOON)
    materialize.materialize(shop.project)
    whole = {"temp": 1.0, "seen_at": "2026-02-20T11:00:00Z", "rides": 1, "best": "long"}
    assert shop.predict({**ROW, "origin": "XXX"}, entity_ids=[None]).status_code == 200
    assert shop.predict({**ROW, **whole}).status_code == 200  # nobody has to be named
    shop.at("2026-02-20T15:00:00+00:00")
    assert shop.predict(ROW, entity_ids=[3]).status_code == 200
    absent, given, stale = shop.logged()
    assert (absent["temp"], absent["seen_at"], absent["rides"]) == (None, None, 0)
    assert (given["temp"], given["rides"]) == (1.0, 1)
    assert (stale["temp"], stale["rides"], stale["hour"]) == (None, 24, 15)
    counted = [line for line in _metrics(shop) if line.startswith("mlkit_feature_rows_total")]
    assert sorted(counted) == [
        f'mlkit_feature_rows_total{{model="trips",outcome="{outcome}",view="{view}"}} 1.0'
        for outcome, view in (
            ("absent", "rider_so_far"), ("absent", "weather_at_origin"), ("fresh", "rider_so_far"),
            ("given", "rider_so_far"), ("given", "weather_at_origin"),
            ("stale", "weather_at_origin"),
        )
    ]  # fmt: skip


def _metrics(shop: Shop) -> list[str]:
    text: str = shop.client.get("/metrics").text
    return text.splitlines()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({}, "row 0, column 'rides': missing; feature view 'rider_so_far' fills it if "
               "entity_ids or the column 'rider' says for whom"),
    "text": ({"entity_ids": ["3"]}, "row 0, column 'rider': the entity of feature view "
             "'rider_so_far' is a whole number, not '3'"),
    "two": ({"entity_ids": [3], "rows": [{**ROW, "rider": 4}]},
            "row 0, column 'rider': the row says 4, entity_ids say 3"),
    "column": ({"entity_ids": [3], "rows": [{"km": 5.0}]}, "row 0, column 'origin': missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_row_that_does_not_say_for_whom_is_refused_with_row_and_column(
    shop: Shop, name: str
) -> None:
    fields, said = WRONG[name]
    reply = shop.post("/predict/trips", {"rows": [ROW], **fields})
    assert reply.status_code == 422
    assert said in reply.json["detail"]


TENSORS = {
    "inputs": [
        {"name": "origin", "shape": [1], "datatype": "BYTES", "data": ["JFK"]},
        {"name": "km", "shape": [1], "datatype": "FP64", "data": [5.0]},
        {"name": "rider", "shape": [1], "datatype": "INT64", "data": [3]},
    ]
}
OTHERS = {
    "/invocations": {"dataframe_split": {"columns": ["origin", "km", "rider"],
                                         "data": [["JFK", 5.0, 3]]}},
    "/models/trips/invocations": {"inputs": {"origin": ["JFK"], "km": [5.0], "rider": [3]}},
    "/v1/models/trips:predict": {"instances": [{**ROW, "rider": 3}]},
    "/v2/models/trips/infer": TENSORS,
    "text/csv": "origin,km,rider\nJFK,5,3\n",
}  # fmt: skip


@pytest.mark.parametrize("path", OTHERS)
def test_the_other_protocols_name_the_entity_in_its_column(shop: Shop, path: str) -> None:
    shop.at(NOON)
    materialize.materialize(shop.project)
    kind = "text/csv" if path == "text/csv" else "application/json"
    reply = shop.post(path if path.startswith("/") else "/invocations", OTHERS[path], kind)
    assert reply.status_code == 200, reply.json
    (row,) = shop.logged()
    assert (row["temp"], row["rides"], row["cold_km"], row["_entity"]) == (12.5, 24, 87.5, "3")


def test_what_is_materialised_anew_counts_from_the_next_request_on(shop: Shop) -> None:
    shop.at(NOON)
    assert shop.predict(ROW, entity_ids=[3]).status_code == 200
    materialize.materialize(shop.project)
    assert shop.predict(ROW, entity_ids=[3]).status_code == 200
    assert [row["temp"] for row in shop.logged()] == [None, 12.5]
