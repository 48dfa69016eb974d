"""An alert opens when a model is often asked without fresh features."""

import time
from pathlib import Path

from mlkit.flows.alerts import alerting
from mlkit.project import Project
from mlkit.server.feature_state import MissingShares, Troubles
from mlkit.server.metrics.meter import Meter
from mlkit.server.watchdog import Watchdog
from mlkit.store.engine import Database


def test_the_alert_about_missing_features_opens_and_ends(project: Project, tmp_path: Path) -> None:
    meter, shares = Meter(tmp_path), MissingShares(project, tmp_path)
    meter.looked_up("trips", "weather", {"fresh": 80, "stale": 9, "absent": 1})
    shares.check()
    assert alerting.ongoing(project) == []  # too few rows to tell
    meter.looked_up("trips", "weather", {"fresh": 50, "absent": 30, "given": 30})
    meter.looked_up("trips", "riders", {"fresh": 200})
    shares.check()
    (alert,) = alerting.ongoing(project)
    assert (alert.key, alert.kind, alert.model) == ("features:trips", "features", "trips")
    assert "in the last 15m: weather for 20% of its rows" in alert.summary
    meter.looked_up("trips", "weather", {"fresh": 2000})
    shares.check()
    assert alerting.ongoing(project) == []
    meter.close()


def test_what_is_older_than_the_window_counts_no_more(project: Project, tmp_path: Path) -> None:
    meter, shares = Meter(tmp_path), MissingShares(project, tmp_path)
    shares._window_s = 0.05
    meter.looked_up("trips", "weather", {"absent": 1000})
    shares.check()
    assert len(alerting.ongoing(project)) == 1
    time.sleep(0.06)
    shares.check()
    meter.looked_up("trips", "weather", {"fresh": 100})
    shares.check()
    assert alerting.ongoing(project) == []
    meter.close()


def test_an_alert_from_before_a_restart_ends_when_nobody_asks_any_more(
    project: Project, tmp_path: Path
) -> None:
    meter = Meter(tmp_path / "before")
    meter.looked_up("trips", "weather", {"absent": 1000})
    MissingShares(project, tmp_path / "before").check()
    meter.close()
    after = Meter(tmp_path / "after")
    shares = MissingShares(project, tmp_path / "after")
    shares._window_s = 0.05
    shares.check()
    assert len(alerting.ongoing(project)) == 1
    time.sleep(0.06)
    shares.check()
    assert alerting.ongoing(project) == []
    after.close()


def test_a_database_server_that_is_down_is_no_trouble_of_the_features(
    project: Project, tmp_path: Path
) -> None:
    away = Database("postgresql+psycopg://mlkit@127.0.0.1:1/shop")
    lost = Project(project.root, project.settings, away)
    assert Troubles(lost).now() == {}
    Watchdog(lost, tmp_path)._check_features(slept=False)  # the next look may succeed
