"""Views that champions need and that are not materialised, or not any more, are told of."""

from typing import Any

import pytest
import sqlalchemy as sa

from mlkit.flows.alerts import alerting
from mlkit.flows.data import ingest
from mlkit.flows.doctor import checkup
from mlkit.flows.features import catalog, declarations, freshness, joining, other_code, view_rows
from mlkit.flows.operations import upkeep
from mlkit.flows.registry import deploy
from mlkit.flows.training import train
from mlkit.project import Project

NOON = "2026-02-20T12:10:00+00:00"
pytestmark = pytest.mark.usefixtures("warm_loading")


def _texts(project: Project) -> list[str]:
    return [trouble.text for trouble in freshness.troubles(project)]


def test_a_view_that_was_never_materialised_is_told_of(featured: Any) -> None:
    first, second = _texts(featured.project)
    assert first == (
        "feature view 'weather_at_origin' v1, needed by trips, was never materialised (see: mlkit "
        "features materialize weather_at_origin)"
    )
    assert "rider_so_far" in second
    featured.at(NOON)
    featured.materialize()
    assert _texts(featured.project) == []


def test_a_project_without_its_features_file_is_told_of_before_the_values_are_old(
    featured: Any,
) -> None:
    featured.at(NOON)
    featured.materialize()
    (featured.project.root / "features.py").unlink()
    assert all("features.py is gone" in text for text in _texts(featured.project))
    found = checkup.examine(featured.project.root).checks
    warned = [check for check in found if "features.py is gone" in check.found]
    assert len(warned) == 2


@pytest.mark.parametrize(
    ("moment", "view", "said"),
    [
        ("2026-02-20T15:20:00+00:00", "weather", "was last materialised at 2026-02-20 12:10Z"),
        ("2026-02-21T12:20:00+00:00", "rider", "was last materialised at 2026-02-20 12:10Z"),
    ],
)
def test_a_view_that_is_not_materialised_in_time_is_told_of(
    featured: Any, moment: str, view: str, said: str
) -> None:
    featured.at(NOON)
    featured.materialize()
    featured.at(moment)
    (text,) = [text for text in _texts(featured.project) if f"'{view}" in text]
    assert said in text


def test_a_source_without_new_events_is_told_of(featured: Any) -> None:
    featured.at(NOON)
    featured.materialize()
    featured.at("2026-03-01T12:00:00+00:00")
    featured.materialize()
    (text,) = _texts(featured.project)
    assert "'weather_at_origin' v1, needed by trips, has nothing younger than its ttl of 3h" in text


def test_a_model_goes_on_asking_for_its_own_version_of_a_view(featured: Any) -> None:
    featured.at(NOON)
    featured.materialize()
    featured.declare('entity="rider", time="at",', 'entity="rider", time="at", version=2,')
    featured.at("2026-02-20T12:20:00+00:00")
    featured.materialize()
    (text,) = _texts(featured.project)
    assert "'rider_so_far' v1, needed by trips, is not materialised any more" in text
    assert "features.py has v2" in text
    assert featured.predict({"origin": "JFK", "km": 5.0}, entity_ids=[3]).status_code == 200
    assert featured.logged()[0]["rides"] == 24


@pytest.mark.parametrize(
    ("table", "column", "text"),
    [
        ("dataset_version", "transformation", '{"kind": "join", "views": [{}], "on_demand": []}'),
        ("dataset_version", "transformation", "[]"),
        ("model_version", "metrics", "good"),
    ],
)
def test_an_edited_row_hides_no_view(featured: Any, table: str, column: str, text: str) -> None:
    project = featured.project
    file = project.root / "other.csv"
    file.write_text("x,y\n" + "1,2\n2,3\n3,5\n" * 30)
    ingest.add(project, "other", file, target="y")
    train.train(project, "other", "other", estimator="dummy")
    with project.database.engine.begin() as connection:
        query = f"UPDATE {table} SET {column} = :text WHERE id = (SELECT max(id) FROM {table})"  # noqa: S608  # names of this file
        connection.execute(sa.text(query), {"text": text})
    (use,) = catalog.show(project, "weather_at_origin").uses
    assert (use.dataset, use.models) == ("trips_featured@1", ("trips@1",))
    assert [one.online for one in catalog.list_features(project)] == ["never", "never", None]
    assert len(freshness.troubles(project)) == 2


def test_the_alert_opens_with_the_trouble_and_ends_with_it(featured: Any) -> None:
    assert "2 feature views in trouble" in upkeep.process(featured.project)
    keys = {alert.key: alert.next[0] for alert in alerting.ongoing(featured.project)}
    assert keys == {
        f"freshness:{view}": f"mlkit features materialize {view}"
        for view in ("weather_at_origin", "rider_so_far")
    }
    featured.at(NOON)
    featured.materialize()
    upkeep.process(featured.project)
    assert alerting.ongoing(featured.project) == []


def test_the_doctor_and_readyz_tell_of_it(featured: Any) -> None:
    found = checkup.examine(featured.project.root).checks
    assert [line.level for line in found if line.check == "features"] == ["warn", "warn"]
    reply = featured.client.get("/readyz")
    assert (reply.status_code, reply.json["status"]) == (200, "degraded")
    assert set(reply.json["problems"]) == {"weather_at_origin v1", "rider_so_far v1"}


def test_other_code_of_a_transformation_is_told_of_and_a_comment_is_none(featured: Any) -> None:
    featured.at(NOON)
    featured.materialize()
    featured.declare('    made["hour"]', '    # of the day\n    made["hour"]')
    featured.declare("How long the way is", "How far it is")
    assert other_code.troubles(featured.project) == {}
    featured.declare("(30 - ", "(25 - ")
    featured.materialize()
    (text,) = other_code.troubles(featured.project).values()
    assert text.startswith(
        "on-demand transformation 'shape', needed by trips, is not the code that the training used"
    )
    reply = featured.client.get("/readyz")
    assert (reply.status_code, reply.json["problems"]) == (200, {"shape": text})
    found = checkup.examine(featured.project.root).checks
    assert text in [line.found for line in found if line.level == "warn"]


def test_the_same_rows_by_other_code_are_another_version_which_ends_the_trouble(
    featured: Any,
) -> None:
    featured.declare('made["hour"] = rows["at"].dt.hour', 'made["hour"] = rows.at_hour()')
    assert len(other_code.troubles(featured.project)) == 1
    featured.declare("rows.at_hour()", 'rows["at"].dt.hour + 0')
    recipe = joining.Recipe("trips", ("weather_at_origin", "rider_so_far"), ("shape",))
    assert joining.join(featured.project, "trips_featured", recipe).version == 2
    assert not joining.join(featured.project, "trips_featured", recipe).new
    train.train(featured.project, "trips", "trips_featured", estimator="linear")
    deploy.promote(featured.project, "trips", 2, force=True)
    assert other_code.troubles(featured.project) == {}


def test_other_code_of_what_features_import_is_told_of_and_a_comment_is_none(featured: Any) -> None:
    rates = featured.project.root / "rates.py"
    rates.write_text("LIMIT = 30\n")
    featured.declare("(30 - ", "(LIMIT - ")
    featured.declare("\nfrom mlkit", "\nfrom rates import LIMIT\n\nfrom mlkit")
    recipe = joining.Recipe("trips", ("weather_at_origin", "rider_so_far"), ("shape",))
    joining.join(featured.project, "trips_featured", recipe)
    train.train(featured.project, "trips", "trips_featured", estimator="linear")
    deploy.promote(featured.project, "trips", 2, force=True)
    rates.write_text("LIMIT = 30  # degrees\n")
    assert other_code.troubles(featured.project) == {}
    assert not joining.join(featured.project, "trips_featured", recipe).new
    rates.write_text("LIMIT = 34\n")
    assert len(other_code.troubles(featured.project)) == 1
    assert joining.join(featured.project, "trips_featured", recipe).version == 3


def test_a_view_is_materialised_anew_when_what_it_imports_has_changed(featured: Any) -> None:
    scale = featured.project.root / "scale.py"
    scale.write_text("TIMES = 1\n")
    featured.declare('weather[["origin"', 'weather.assign(temp=weather["temp"] * TIMES)[["origin"')
    featured.declare("\nfrom mlkit", "\nfrom scale import TIMES\n\nfrom mlkit")
    featured.materialize()
    before = view_rows.digest(
        declarations.load(featured.project), _view(featured, "weather_at_origin")
    )
    scale.write_text("TIMES = 2\n")
    after = view_rows.digest(
        declarations.load(featured.project), _view(featured, "weather_at_origin")
    )
    assert before != after


def _view(featured: Any, name: str) -> Any:
    return declarations.load(featured.project).view(name)
