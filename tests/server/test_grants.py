"""A token for some models neither changes nor learns anything of the others, on any route."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlkit.flows.alerts import alerting
from mlkit.flows.log import logs
from mlkit.flows.operations import access
from mlkit.project import Project, open_project
from mlkit.server.app import SERVICE, create_app
from mlkit.store import deployments, registry
from mlkit.store.reports import DriftReport

ROW = {"since": "2026-01-05T10:00:00Z", "age": 30, "plan": "free", "spend": 12.5, "active": False}
HIDDEN = "zebra"
BODIES: dict[str, Any] = {
    "/predict/<model>": {"rows": [ROW]},
    "/invocations": {"dataframe_records": [ROW]},
    "/models/<model>/invocations": {"inputs": [ROW]},
    "/v1/models/<model>:predict": {"instances": [ROW]},
    "/actuals": {"items": []},
}


class Shared:
    """A server of two models that is asked about both, and what clients have for one of them."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.tokens = {
            "read": access.create(project, "read", scope="read", models=["churn"]).token,
            "predict": access.create(project, "predict", models=["churn"]).token,
            "all read": access.create(project, "all-read", scope="read").token,
            "all": access.create(project, "all", scope="admin").token,
            "nobody": "",
            "wrong": "mlkit_00000000_wrong",
        }
        self.app = create_app(project)
        self.service = self.app.extensions[SERVICE]
        self.client = self.app.test_client()

    def ask(self, who: str, method: str, path: str, body: Any = None) -> Any:
        self.service.access._failures._arrivals.clear()
        token = self.tokens[who]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.open(path, method=method, json=body, headers=headers)

    def prediction(self, model: str) -> str:
        reply = self.ask("all", "POST", f"/predict/{model}", {"rows": [ROW]})
        return str(reply.json["predictions"][0]["id"])


@pytest.fixture
def shared(two_models: Path, tmp_path: Path) -> Iterator[Shared]:
    root = Path(shutil.copytree(two_models, tmp_path / "project"))
    (root / "mlkit.toml").write_text("")
    made = Shared(open_project(root, environment={}))
    yield made
    made.service.stop()
    made.project.close()


def _trouble(shared: Shared) -> None:
    """Give the hidden model traffic, a drift verdict, an alert, and a champion that fails."""
    project = shared.project
    shared.prediction(HIDDEN)
    for path in (f"/predict/{HIDDEN}", f"/v2/models/{HIDDEN}/infer"):
        shared.ask("all", "POST", path, {"rows": [{}]})
    now = project.now()
    with project.write() as s:
        champion = deployments.champion(s, registry.get_model(s, HIDDEN))
        assert champion is not None
        s.add(
            DriftReport(
                model_id=champion.model_id, model_version_id=champion.model_version_id,
                window_start=now, window_end=now, verdict="drift", created_at=now, details={},
                summary="", standing=True, reference_rows=1, current_rows=1,
            )
        )  # fmt: skip
    alerting.raise_alert(
        project, key=f"drift:{HIDDEN}", kind="drift", severity="critical", model=HIDDEN,
        summary=f"{HIDDEN} drifts", details={},
    )  # fmt: skip
    shared.service.holder._problems = {HIDDEN: f"v1: {HIDDEN} is broken"}


@pytest.mark.parametrize("who", ["read", "predict", "nobody", "wrong"])
def test_no_reply_of_any_route_names_another_model(shared: Shared, who: str) -> None:
    _trouble(shared)
    models = ("churn", "absent", HIDDEN)
    for rule in shared.app.url_map.iter_rules():
        for method in rule.methods or ():
            for model in models:
                for version in ("1", "7"):
                    path = rule.rule.replace("<model>", model).replace("<version>", version)
                    body = BODIES.get(rule.rule, {}) if method == "POST" else None
                    reply = shared.ask(who, method, path, body)
                    text = reply.get_data(as_text=True).replace(path, "")
                    assert HIDDEN not in text, (method, path, text)
                    assert HIDDEN not in str(reply.headers).replace(path, "")


def test_a_model_that_is_granted_and_has_no_champion_does_not_list_the_others(
    shared: Shared,
) -> None:
    shared.service.holder._champions = {
        name: version for name, version in shared.service.holder._champions.items()
        if name == HIDDEN
    }  # fmt: skip
    shared.service.holder._serving = {}
    for method, path, body in (
        ("POST", "/predict/churn", {"rows": [ROW]}),
        ("GET", "/v1/models/churn", None),
        ("GET", "/v2/models/churn", None),
        ("GET", "/v2/models/churn/ready", None),
    ):
        reply = shared.ask("predict", method, path, body)
        assert reply.status_code == 404
        assert HIDDEN not in reply.get_data(as_text=True)


def test_who_may_see_all_still_does(shared: Shared) -> None:
    _trouble(shared)
    for who in ("all", "all read"):
        for path in ("/", "/metrics", "/openapi.json", "/readyz"):
            assert HIDDEN in shared.ask(who, "GET", path).get_data(as_text=True), path


def test_metrics_of_some_models_are_theirs_and_the_processes(shared: Shared) -> None:
    _trouble(shared)
    shared.prediction("churn")
    whole = shared.ask("all", "GET", "/metrics").get_data(as_text=True)
    part = shared.ask("read", "GET", "/metrics").get_data(as_text=True)
    assert 'mlkit_rows_total{model="churn"} 1.0' in part
    assert 'mlkit_open_alerts{severity="critical"} 1.0' in whole
    assert 'mlkit_open_alerts{severity="critical"} 0.0' in part
    assert "mlkit_workers 1.0" in part
    for name in ("mlkit_model_generation ", 'route="/actuals"', 'model=""'):
        assert name not in part
    assert "mlkit_model_generation " in whole


def test_readiness_tells_strangers_the_verdict_and_nothing_else(shared: Shared) -> None:
    _trouble(shared)
    told = {who: shared.ask(who, "GET", "/readyz").json for who in shared.tokens}
    assert {each["status"] for each in told.values()} == {"degraded"}
    for who in ("nobody", "wrong", "predict"):
        assert (told[who]["models"], told[who]["problems"]) == ({}, {})
    assert (told["read"]["models"], told["read"]["problems"]) == ({"churn": 1}, {})
    assert told["all"]["problems"] == {HIDDEN: "v1: zebra is broken"}


def test_actuals_of_another_model_are_unknown_and_not_stored(shared: Shared) -> None:
    mine, theirs = shared.prediction("churn"), shared.prediction(HIDDEN)
    items = [{"prediction_id": each, "actual": "yes"} for each in (mine, theirs, "absent")]
    reply = shared.ask("predict", "POST", "/actuals", {"items": items})
    assert reply.json == {"accepted": 1, "duplicates": 0, "unknown": [theirs, "absent"]}
    assert logs.read(shared.project, HIDDEN, actuals="required").num_rows == 0
    odd = {"items": [{"prediction_id": theirs, "actual": 3.5}]}
    assert shared.ask("predict", "POST", "/actuals", odd).json["unknown"] == [theirs]
    right = {"items": [{"prediction_id": theirs, "actual": "no"}]}
    assert shared.ask("all", "POST", "/actuals", right).json["accepted"] == 1
    against = {"items": [{"prediction_id": theirs, "actual": "yes"}], "correct": True}
    assert shared.ask("predict", "POST", "/actuals", against).json["unknown"] == [theirs]
    assert logs.read(shared.project, HIDDEN)["_actual"].to_pylist() == ["no"]


@pytest.mark.parametrize("of_all", [False, True])
def test_a_correction_over_http_names_its_token(shared: Shared, *, of_all: bool) -> None:
    item = {"prediction_id": shared.prediction("churn"), "actual": "yes"}
    assert shared.ask("predict", "POST", "/actuals", {"items": [item]}).json["accepted"] == 1
    item["actual"] = "no"
    refused = shared.ask("predict", "POST", "/actuals", {"items": [item]})
    assert (refused.status_code, refused.json["problems"][0]["row"]) == (409, 0)
    assert "yes" not in json.dumps(refused.json)
    sent = {"items": [item], "correct": True} if of_all else {"items": [{**item, "correct": True}]}
    done = shared.ask("predict", "POST", "/actuals", sent)
    assert done.json == {"accepted": 0, "duplicates": 0, "unknown": [], "corrected": 1}
    from mlkit.store import corrections

    with shared.project.read() as s:
        (kept,) = corrections.of(s, str(item["prediction_id"]))
    assert kept.actor.startswith("token predict:")
