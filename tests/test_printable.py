"""What came from outside is shown in one printable form, wherever it is shown."""

import ast
import logging
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlkit
from mlkit import printable
from mlkit.flows.alerts import mail, messages, webhooks
from mlkit.settings.table import Alerts
from mlkit.store.alerts import Alert

EVIL = "\x1b]0;owned\x07\x9b2J\r\u202e\u2066\u200b\ufeff\u2028\nerror: all is lost"
SOURCES = sorted(Path(mlkit.__file__).parent.glob("cli/*.py"))


@given(st.text())
def test_nothing_that_steers_or_hides_is_left(text: str) -> None:
    for shown, allowed in ((printable.line(text), ""), (printable.text(text), "\n")):
        bad = [c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
        assert set(bad) <= set(allowed)
        shown.encode()


def test_what_can_be_read_stays_as_it_is() -> None:
    for text in ("", "plain", "größe 日本 é", "a  b", "{x} [y] %"):
        assert printable.line(text) == printable.text(text) == text


def test_two_names_that_look_alike_are_told_apart() -> None:
    assert printable.line("pay\u200bload") == r"pay\u200bload"


def test_a_record_in_a_log_is_one_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "unseen %s", (EVIL,), None)
    written = printable.Formatter("%(levelname)s %(message)s").format(record)
    assert written == f"INFO unseen {printable.line(EVIL)}"
    assert "\n" not in written


def _alert() -> Alert:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Alert(
        id=1, key="drift:churn", kind="drift", severity="warning", model="churn",
        summary=f"unseen {EVIL}", details={"examples": {EVIL: 3}}, opened_at=now, last_seen_at=now,
    )  # fmt: skip


def test_mails_and_chats_show_a_label_in_printable_form() -> None:
    message = messages.about(_alert(), "firing", number=1, project="shop")
    letter = mail.compose(message, Alerts(mail_to=("a@example.org",)))
    shown = printable.line(EVIL)
    assert shown in str(letter["Subject"])
    assert shown in letter.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    slack = webhooks.slack(message)
    assert shown in slack["text"]
    assert "\x1b" not in str(webhooks.alertmanager(message)[0]["annotations"])
    assert message.details == {"examples": {EVIL: 3}}  # for programs, exact


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_commands_print_through_the_printable_form(file: Path) -> None:
    raw = {"echo", "secho", "print"}
    if file.stem in ("output", "root", "completion"):  # which know what they print
        return
    calls = [
        node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
    ]
    names = {getattr(call, "attr", getattr(call, "id", "")) for call in calls if _is_raw(call)}
    assert not names & raw


def _is_raw(call: ast.expr) -> bool:
    if isinstance(call, ast.Attribute):
        return isinstance(call.value, ast.Name) and call.value.id == "click"
    return isinstance(call, ast.Name) and call.id == "print"


def test_a_label_of_a_file_does_not_steer_the_terminal(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    rows = "".join(f'{number},"{EVIL}"\n' for number in range(20))
    file.write_text(f"a,plan\n{rows}", newline="")
    added = cli("data", "add", "orders", file)
    shown = cli("data", "show", "orders")
    file.write_text('a,plan\n1,"\x1b[31mred"\n', newline="")
    refused = cli("data", "add", "orders", file, code=3)
    missing = cli("data", "add", "orders", tmp_path / "\x1b[31m.csv", code=None)
    for result in (added, shown, refused, missing):
        for letter in "\x1b\x07\x9b\r\u202e\u200b":
            assert letter not in result.output
        assert not any(line.startswith("error: all is lost") for line in result.output.splitlines())
