from pathlib import Path
from typing import Any

import click
import pytest

from mlkit.cli.root import cli as root_command
from mlkit.flows.alerts import alerting, next_steps
from mlkit.project import Project, open_project
from mlkit.store.alerts import Alert


@pytest.fixture
def alerted(project: Project) -> Project:
    for key, kind, summary in (
        ("drift:churn", "drift", "churn v1 drift in age (0.34)"),
        ("job:backup", "job", "job backup failed: no space left"),
    ):
        alerting.raise_alert(
            project, key=key, kind=kind, severity="warning", model=None, summary=summary, details={}
        )
    alerting.resolve(project, "job:backup", "ran well: wrote 1 file")
    return project


def test_list_shows_what_goes_on_and_with_all_what_ended(alerted: Project, cli: Any) -> None:
    (line,) = cli.json("alert", "list")
    assert (line["id"], line["key"], line["status"]) == (1, "drift:churn", "open")
    assert [(line["id"], line["status"]) for line in cli.json("alert", "list", "--all")] == [
        (2, "resolved"), (1, "open"),
    ]  # fmt: skip
    shown = cli("alert", "list").output
    assert "churn v1 drift in age (0.34)" in shown
    assert "backup" not in shown


def test_list_says_when_nothing_is_wrong(cli: Any) -> None:
    assert "no alert is ongoing" in cli("alert", "list").output
    assert cli.json("alert", "list") == []


def test_ack_records_who_takes_care(
    alerted: Project, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLKIT_ACTOR", "ann")
    assert "ann" in cli("alert", "ack", 1).stdout
    assert cli.json("alert", "list")[0]["acked_by"] == "ann"
    assert "has ended: ran well" in cli("alert", "ack", 2, code=1).stderr
    assert "no alert has the number 3" in cli("alert", "ack", 3, code=1).stderr
    cli("alert", "ack", "first", code=2)


def test_test_sends_to_every_sink_and_fails_if_one_does(
    project: Project, cli: Any, tmp_path: Path
) -> None:
    settings = project.root / "mlkit.toml"
    settings.write_text(f'[alerts]\ncommand = ["sh", "-c", "cat > {tmp_path}/got"]\n')
    assert cli.json("alert", "test") == [
        {"sink": "log", "delivered": True, "error": None},
        {"sink": "command", "delivered": True, "error": None},
    ]
    assert '"event":"test"' in (tmp_path / "got").read_text()
    settings.write_text('[alerts]\nwebhook_url = "http://127.0.0.1:9/s3cret"\n')
    shown = cli("alert", "test", code=1).output
    assert "cannot reach the webhook" in shown
    assert "s3cret" not in shown


def test_what_did_not_arrive_is_listed_with_its_error(project: Project, cli: Any) -> None:
    (project.root / "mlkit.toml").write_text('[alerts]\ncommand = ["false"]\n')
    reopened = open_project(project.root, environment={})
    alerting.raise_alert(
        reopened, key="k", kind="job", severity="warning", model=None, summary="s", details={}
    )
    alerting.deliver(reopened)
    reopened.close()
    (lost,) = cli.json("alert", "list")[0]["undelivered"]
    assert [lost] == [
        {
            "sink": "command", "event": "firing", "attempts": 1,
            "error": "the command ended with exit code 1",
            "next_attempt_at": lost["next_attempt_at"],
        }
    ]  # fmt: skip
    assert "not delivered to command, 1 attempts: the command" in cli("alert", "list").stderr


def test_open_shows_what_nobody_has_acknowledged_or_snoozed(alerted: Project, cli: Any) -> None:
    for key in ("drift:a", "drift:b"):
        alerting.raise_alert(
            alerted, key=key, kind="drift", severity="warning", model=None, summary=key, details={}
        )
    cli("alert", "ack", 1)
    assert "alert 3 is silent until 20" in cli("alert", "snooze", 3, "--for", "4h").stdout
    assert [line["id"] for line in cli.json("alert", "list", "--open")] == [4]
    assert [line["status"] for line in cli.json("alert", "list")] == ["acked", "snoozed", "open"]
    shown = cli("alert", "list").stdout
    assert "snoozed until 20" in shown
    steps = shown.partition("alert 4, what to do next:\n")[2].splitlines()
    assert steps == [
        "  mlkit drift check b --explain", "  mlkit perf check b", "  mlkit alert ack 4",
    ]  # fmt: skip


def test_a_snooze_needs_a_length_of_time(alerted: Project, cli: Any) -> None:
    cli("alert", "snooze", 1, code=2)
    assert "'4x' is not a duration" in cli("alert", "snooze", 1, "--for", "4x", code=1).stderr
    assert "no alert has the number 9" in cli("alert", "snooze", 9, "--for", "4h", code=1).stderr


@pytest.mark.parametrize(
    "key", ["drift:m", "performance:m", "requests:m", "actuals:m", "serving:m", "job:backup",
            "clock:jobs", "other:m"],
)  # fmt: skip
def test_every_command_that_an_alert_names_exists(key: str) -> None:
    for line in next_steps.of(Alert(id=1, key=key)):
        program, name, *rest = line.split()
        assert program == "mlkit"
        command: Any = root_command.get_command(click.Context(root_command), name)
        while isinstance(command, click.Group):
            command = command.commands[rest.pop(0)]
        command.make_context(name, rest)
