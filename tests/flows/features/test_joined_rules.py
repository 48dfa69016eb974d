"""What serving puts into a row is learned from: the rules of a joined dataset let it in."""

from typing import Any

import pytest
import yaml
from sqlalchemy import update

from mlkit.flows.features import feature_plan, joining
from mlkit.flows.features.joining import Recipe
from mlkit.flows.lineage import rebuild
from mlkit.flows.log import actuals
from mlkit.flows.registry import deploy
from mlkit.flows.training import fresh_rows
from mlkit.project import Project
from mlkit.store import datasets
from mlkit.store.disk import failpoints
from mlkit.store.log_columns import Prediction


def _rules(project: Project, name: str) -> dict[str, Any]:
    text = (project.root / "schemas" / f"{name}.yaml").read_text()
    assert text.startswith("# What every later version")
    columns: dict[str, Any] = yaml.safe_load(text)["columns"]
    return columns


def test_columns_of_views_have_no_limits_and_may_be_null_where_serving_puts_null(
    featured: Any,
) -> None:
    found = _rules(featured.project, "trips_featured")
    assert found["temp"] == {"dtype": "float64", "nullable": True}
    assert found["best"] == {"dtype": "string[pyarrow]"}
    assert set(found["km"]) == {"dtype", "in_range"}


def test_the_log_of_rows_without_features_is_learned_from(featured: Any) -> None:
    featured.at("2026-02-28T12:10:00+00:00")
    featured.materialize("rider_so_far")  # and no weather
    rows = [{"origin": "JFK", "km": 1.0 + n / 4} for n in range(60)]
    made = featured.predict(*rows, entity_ids=[n % 12 for n in range(60)]).json["predictions"]
    featured.logged()
    items = [actuals.ActualItem(each["id"], 1.5 * n) for n, each in enumerate(made)]
    actuals.add(featured.project, items)
    champion = deploy.find_version(featured.project, "trips")
    fresh = fresh_rows.gather(featured.project, champion, "log")
    assert (fresh.dataset, fresh.rows) == ("trips_featured@2", 60)


def test_the_rules_of_a_join_are_written_when_it_is_a_version_and_no_sooner(
    featured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = featured.project.root / "schemas" / "other.yaml"
    seen: dict[str, bool] = {}
    monkeypatch.setattr(failpoints, "reach", lambda moment: seen.update({moment: file.exists()}))
    joining.join(featured.project, "other", Recipe("trips", ("weather_at_origin",)))
    assert seen == {"data.written": False, "data.stored": False, "data.recorded": False}
    assert _rules(featured.project, "other")["temp"] == {"dtype": "float64", "nullable": True}


def test_logged_rows_keep_the_plan_by_which_they_were_served(featured: Any) -> None:
    featured.at("2026-02-28T12:10:00+00:00")
    featured.materialize("rider_so_far")
    rows = [{"origin": "JFK", "km": 1.0 + n / 4} for n in range(60)]
    made = featured.predict(*rows, entity_ids=[n % 12 for n in range(60)]).json["predictions"]
    featured.logged()
    featured.declare('entity="rider", time="at",', 'entity="rider", time="at", version=2,')
    featured.declare("return rides[", 'rides["rides"] += 1\n    return rides[')
    recipe = Recipe("trips", ("weather_at_origin", "rider_so_far"), ("shape",))
    assert joining.join(featured.project, "trips_featured", recipe).version == 2
    items = [actuals.ActualItem(each["id"], 1.5 * n) for n, each in enumerate(made)]
    actuals.add(featured.project, items)
    champion = deploy.find_version(featured.project, "trips")
    assert fresh_rows.gather(featured.project, champion, "log").dataset == "trips_featured@3"
    with featured.project.read() as s:
        versions = [datasets.get_version(s, "trips_featured", n) for n in (1, 2, 3)]
        plans = [feature_plan.of(s, version) for version in versions]
    assert [plan.views[1].version for plan in plans if plan] == [1, 2, 1]


def test_requests_without_the_entity_that_a_dataset_must_have_are_not_learned_from(
    featured: Any,
) -> None:
    featured.at("2026-02-28T12:10:00+00:00")
    featured.materialize("rider_so_far")
    rows = [{"origin": "JFK", "km": 1.0 + n / 4, "rides": 1, "best": "x"} for n in range(64)]
    made = featured.predict(*rows[:61], entity_ids=[n % 12 for n in range(61)]).json["predictions"]
    made += featured.predict(*rows[61:]).json["predictions"]
    featured.logged()
    items = [actuals.ActualItem(each["id"], 1.5 * n) for n, each in enumerate(made)]
    actuals.add(featured.project, items)
    with featured.project.write() as s:
        s.execute(update(Prediction).filter_by(id=made[60]["id"]).values(entity="no number"))
    champion = deploy.find_version(featured.project, "trips")
    fresh = fresh_rows.gather(featured.project, champion, "log")
    assert (fresh.dataset, fresh.rows) == ("trips_featured@2", 60)
    (said,) = [text for text in fresh.warnings if text.startswith("no_entity: ")]
    assert "4 rows" in said
    with featured.project.read() as s:
        made_of = datasets.get_version(s, "trips_featured", 2).transformation
    assert made_of["left_out"]["no_entity"] == 4
    assert rebuild.rebuild(featured.project, "trips_featured@2").same
