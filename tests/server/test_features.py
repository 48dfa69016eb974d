"""What a model has from feature views, a client may leave out of a row."""

import copy
from typing import Any

import pytest

from mlkit.store import datasets

ROW = {"origin": "JFK", "km": 5.0}
NOON = "2026-02-20T12:10:00+00:00"


def test_what_was_left_out_is_filled_and_logged(featured: Any) -> None:
    featured.at(NOON)
    featured.materialize()
    reply = featured.predict(ROW, {**ROW, "origin": "LGA"}, entity_ids=[3, 11])
    assert reply.status_code == 200, reply.json
    first, second = featured.logged()
    assert (first["temp"], first["cold_km"], first["hour"]) == (12.5, 5 * 17.5, 12)
    assert (first["rides"], first["best"], first["_entity"]) == (24, "long", "3")
    assert (second["temp"], second["rides"], second["best"]) == (17.5, 0, "none")
    assert f"{first['seen_at']}".startswith("2026-02-20 11:55")


def test_what_a_row_gives_wins_and_the_rest_is_computed_from_it(featured: Any) -> None:
    featured.at(NOON)
    featured.materialize()
    rows = [{**ROW, "temp": -10.0}, {**ROW, "hour": 3}, {**ROW, "temp": None}]
    assert featured.predict(*rows, entity_ids=[3, 3, 3]).status_code == 200
    cold, early, unknown = featured.logged()
    assert (cold["temp"], cold["cold_km"], cold["hour"]) == (-10.0, 200.0, 12)
    assert (early["temp"], early["cold_km"], early["hour"]) == (12.5, 87.5, 3)
    assert (unknown["temp"], unknown["cold_km"]) == (None, 150.0)


def test_nobody_and_what_is_too_old_follow_the_policy_and_are_counted(featured: Any) -> None:
    featured.at(NOON)
    featured.materialize()
    whole = {"temp": 1.0, "seen_at": "2026-02-20T11:00:00Z", "rides": 1, "best": "long"}
    assert featured.predict({**ROW, "origin": "XXX"}, entity_ids=[None]).status_code == 200
    assert featured.predict({**ROW, **whole}).status_code == 200  # nobody has to be named
    featured.at("2026-02-20T15:00:00+00:00")
    assert featured.predict(ROW, entity_ids=[3]).status_code == 200
    absent, given, stale = featured.logged()
    assert (absent["temp"], absent["seen_at"], absent["rides"]) == (None, None, 0)
    assert (given["temp"], given["rides"]) == (1.0, 1)
    assert (stale["temp"], stale["rides"], stale["hour"]) == (None, 24, 15)
    counted = [line for line in _metrics(featured) if line.startswith("mlkit_feature_rows_total")]
    assert sorted(counted) == [
        f'mlkit_feature_rows_total{{model="trips",outcome="{outcome}",view="{view}"}} 1.0'
        for outcome, view in (
            ("absent", "rider_so_far"), ("absent", "weather_at_origin"), ("fresh", "rider_so_far"),
            ("given", "rider_so_far"), ("given", "weather_at_origin"),
            ("stale", "weather_at_origin"),
        )
    ]  # fmt: skip


def _metrics(featured: Any) -> list[str]:
    text: str = featured.client.get("/metrics").text
    return text.splitlines()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({}, "row 0, column 'rides': missing; feature view 'rider_so_far' fills it if "
               "entity_ids or the column 'rider' says for whom"),
    "text": ({"entity_ids": ["3"]}, "row 0, column 'rider': '3' is not a whole number"),
    "large": ({"entity_ids": [2**63]}, "row 0, column 'rider': the whole number does not fit"),
    "NUL": ({"entity_ids": [3], "rows": [{**ROW, "origin": "J\0K"}]},
            "row 0, column 'origin': a feature view's entity cannot have a NUL character"),
    "two": ({"entity_ids": [3], "rows": [{**ROW, "rider": 4}]},
            "row 0, column 'rider': the row says 4, entity_ids say 3"),
    "column": ({"entity_ids": [3], "rows": [{"km": 5.0}]}, "row 0, column 'origin': missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_row_that_does_not_say_for_whom_is_refused_with_row_and_column(
    featured: Any, name: str
) -> None:
    fields, said = WRONG[name]
    reply = featured.post("/predict/trips", {"rows": [ROW], **fields})
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
def test_the_other_protocols_name_the_entity_in_its_column(featured: Any, path: str) -> None:
    featured.at(NOON)
    featured.materialize()
    kind = "text/csv" if path == "text/csv" else "application/json"
    reply = featured.post(path if path.startswith("/") else "/invocations", OTHERS[path], kind)
    assert reply.status_code == 200, reply.json
    (row,) = featured.logged()
    assert (row["temp"], row["rides"], row["cold_km"], row["_entity"]) == (12.5, 24, 87.5, "3")


def test_what_is_materialised_anew_counts_from_the_next_request_on(featured: Any) -> None:
    featured.at(NOON)
    assert featured.predict(ROW, entity_ids=[3]).status_code == 200
    featured.materialize()
    assert featured.predict(ROW, entity_ids=[3]).status_code == 200
    assert [row["temp"] for row in featured.logged()] == [None, 12.5]


def test_openapi_says_what_may_be_left_out_and_its_examples_work(featured: Any) -> None:
    document = featured.client.get("/openapi.json").json
    row = document["components"]["schemas"]["trips.Row"]
    assert row["required"] == ["origin", "km"]
    said = {name: column["description"] for name, column in row["properties"].items()}
    assert said["temp"].startswith("May be left out: then from feature view 'weather_at_origin'")
    assert said["cold_km"].startswith("May be left out: then from on-demand transformation 'shape'")
    assert said["rider"] == "Whom the row is about: feature views look it up."
    content = document["paths"]["/predict/trips"]["post"]["requestBody"]["content"]
    examples = content["application/json"]["examples"]
    assert set(examples) == {"rows", "features left out"}
    for example in examples.values():
        assert featured.post("/predict/trips", example["value"]).status_code == 200


def _refuse_weather(featured: Any) -> None:
    """Let the model have been trained with a view that refuses."""
    with featured.project.write() as s:
        version = datasets.get_version(s, "trips_featured")
        made = copy.deepcopy(version.transformation)
        made["views"][0]["on_missing"] = "refuse"
        version.transformation = made


def test_a_view_that_refuses_names_row_entity_view_and_age(featured: Any) -> None:
    _refuse_weather(featured)
    featured.at(NOON)
    featured.materialize()
    featured.at("2026-02-20T15:30:00+00:00")
    given = {**ROW, "temp": 1.0, "seen_at": None}
    reply = featured.predict(given, ROW, {**ROW, "origin": "XXX"}, entity_ids=[3, 3, 3])
    assert reply.status_code == 422
    assert (
        "row 1, column 'origin': feature view 'weather_at_origin' has no value for 'JFK' that is "
        "younger than 3h: the newest is 3:30:00 old (and 1 more)"
    ) in reply.json["detail"]
    old, unknown = reply.json["problems"]
    assert (old["row"], old["view"], old["entity"]) == (1, "weather_at_origin", "JFK")
    assert (old["age_s"], unknown["row"], unknown["age_s"]) == (12600.0, 2, None)
    counted = {line for line in _metrics(featured) if "weather_at_origin" in line}
    assert {line.split('outcome="')[1].split('"')[0] for line in counted} == {
        "given", "stale", "absent"
    }  # fmt: skip
    assert featured.logged() == []


def test_a_model_whose_transformation_is_another_one_now_is_not_served(featured: Any) -> None:
    featured.declare(
        '@on_demand(inputs=["km", "temp", "at"])', '@on_demand(inputs=["km"], version=2)'
    )
    reply = featured.client.get("/readyz")
    assert reply.status_code == 503
    assert (
        "'shape' is of version 2 and trips_featured@1 was made with version 1"
        in (reply.json["problems"]["trips"])
    )
    featured.project.root.joinpath("features.py").unlink()
    assert featured.predict(ROW, entity_ids=[3]).status_code == 503


def test_a_function_that_fails_is_no_fault_of_the_client(
    featured: Any, caplog: pytest.LogCaptureFixture
) -> None:
    featured.at(NOON)
    featured.materialize()
    featured.declare('rows["km"] *', 'rows["metres"] *')
    featured.client.get("/readyz")
    reply = featured.predict(ROW, entity_ids=[3])
    assert reply.status_code == 500
    assert reply.json["detail"] == "the server failed to answer; its log says why"
    assert "KeyError('metres')" in caplog.text


def test_a_request_that_is_repeated_is_looked_up_and_counted_once(featured: Any) -> None:
    featured.at(NOON)
    featured.materialize()
    for _ in range(2):
        reply = featured.predict(ROW, entity_ids=[3], request_id="order-1")
        assert reply.status_code == 200
    assert len(featured.logged()) == 1
    (line,) = [line for line in _metrics(featured) if 'view="weather_at_origin"' in line]
    assert line.endswith(" 1.0")
