"""The page is sound whatever the data say, says what is wrong and what to do, and runs nothing."""

import re
import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import msgspec
import pytest

from mlkit.flows.monitoring import history, report
from mlkit.flows.monitoring.history import Estimated
from mlkit.flows.monitoring.report import ModelReport
from mlkit.pages import model
from mlkit.project import Project
from mlkit.store.registry import Model

EVIL = "<script>alert('x')</script>"
BROWSER = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--window-size=1100,4000", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
OWN_HOSTS = ("google.com", "googleapis.com", "gstatic.com", "gvt1.com")  # where it looks for itself
needs_browser = pytest.mark.skipif(which("chromium") is None, reason="chromium is not on the path")


@pytest.fixture(scope="module")
def page(found: ModelReport) -> str:
    """The page of the hostile model."""
    return model.render(found)


def test_every_tag_is_closed_and_nothing_is_fetched_or_run(page: str, read_page: Any) -> None:
    read = read_page(page)
    assert read.open == []
    tags = {tag for tag, _ in read.tags}
    assert not {"script", "link", "iframe", "img", "base", "object", "form"} & tags
    attributes = {name for _, given in read.tags for name in given}
    assert not {"src", "href", "srcset", "action", "style"} & attributes
    assert not {name for name in attributes if name.startswith("on")}
    assert re.findall(r"[a-z]+://[^\s\"']+", page) == []
    policy = next(given for tag, given in read.tags if "http-equiv" in given)["content"]
    assert policy.startswith("default-src 'none'")


def test_the_verdicts_come_first_with_the_next_command(page: str, found: ModelReport) -> None:
    for advice in found.verdicts:
        assert advice.verdict in ("drift", "degraded")
        assert page.index(advice.command) < page.index("<h2>Open alerts")
    assert [advice.command for advice in found.verdicts] == ["mlkit log show hostile"] * 2
    assert "<title>hostile: drift drift, performance degraded</title>" in page


def test_the_tables_say_what_the_charts_show(page: str, read_page: Any, found: ModelReport) -> None:
    rows = read_page(page).rows
    firsts = [row[0] for row in rows]
    for point in found.drift:
        assert firsts.count(f"{point.at:%Y-%m-%d %H:%M}") >= 2  # drift, performance
    features = {line.column for line in found.spread.features} if found.spread else set()
    named = " ".join(firsts)
    assert all(name[:70] in named for name in features)
    (lost,) = (row for row in rows if row[0].startswith('a & "b"'))
    assert re.fullmatch(r"6\.0% → 3\d%|6\.0% → 4\d%", lost[-1])


def test_every_picture_has_words(page: str, read_page: Any) -> None:
    pictures = [given for tag, given in read_page(page).tags if tag == "svg"]
    named = [given for given in pictures if given.get("role") == "img"]
    assert len(named) > 20
    assert all(given["aria-label"] for given in named)
    rest = [given for given in pictures if given.get("role") != "img"]
    assert all(given.get("aria-hidden") == "true" or not given.get("class") for given in rest)


def test_the_worst_are_open_and_the_rest_folded(found: ModelReport, read_page: Any) -> None:
    assert found.spread is not None
    line = found.spread.features[-1]
    lines = tuple(msgspec.structs.replace(line, column=f"column {n}") for n in range(100))
    many = msgspec.structs.replace(found.spread, features=(found.spread.features[0], *lines))
    text = model.render(msgspec.structs.replace(found, spread=many))
    assert "89 more features, none of them drifted" in text
    assert text.index("column 5") < text.index("89 more features") < text.index("column 50")
    assert read_page(text).open == []


def test_a_page_of_100_features_and_200_reports_is_small(found: ModelReport) -> None:
    assert found.spread is not None
    line = next(line for line in found.spread.features if line.column == EVIL)
    test = msgspec.structs.replace(line.tests[0], history=(0.5,) * 30)
    lines = tuple(
        msgspec.structs.replace(
            line, column=f"column {n}", tests=(msgspec.structs.replace(test, name=f"column {n}"),)
        )
        for n in range(100)
    )
    large = msgspec.structs.replace(
        found,
        spread=msgspec.structs.replace(found.spread, features=lines),
        drift=found.drift[-1:] * report.REPORTS,
        performance=found.performance[-1:] * report.REPORTS,
        alerts=found.alerts[:1] * 500,
    )
    assert len(model.render(large)) < 2_000_000


def test_estimates_are_told_where_there_are_some(found: ModelReport, read_page: Any) -> None:
    estimated = Estimated(
        value=0.5, low=0.4, high=0.6, rows=77, trusted=False, reason=EVIL, past_error=0.03
    )
    last = msgspec.structs.replace(found.performance[-1], estimated=estimated)
    text = model.render(msgspec.structs.replace(found, performance=(*found.performance, last)))
    bare = [msgspec.structs.replace(point, estimated=None) for point in found.performance]
    page = model.render(msgspec.structs.replace(found, performance=tuple(bare)))
    assert "estimated before the actuals came" not in page
    assert "estimated before the actuals came" in text
    plain = " ".join(text.split())
    assert "0.5 [0.4, 0.6] on 77 rows, not to be trusted: &lt;script&gt;" in plain
    assert "; such estimates were 0.03 wrong where actuals came." in plain
    assert "script" not in {tag for tag, _ in read_page(text).tags}


def test_a_model_without_anything_has_a_page(project: Project, read_page: Any) -> None:
    with project.write() as s:
        s.add(Model(name="new", task="regression", target="y", created_at=project.now()))
    text = model.render(report.read(project, "new"))
    assert read_page(text).open == []
    for words in ("no version serves", "There is no drift report yet", "None is open"):
        assert words in text


def test_a_champion_that_was_asked_nothing_has_a_page(trained: Project, read_page: Any) -> None:
    text = model.render(report.read(trained, "churn"))
    assert read_page(text).open == []
    assert "In this window it was asked nothing" in text
    assert text.count("not tested yet") > 5


def _browse(folder: Path, text: str, *options: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Show a page to a real browser; return what it said, and all that it did on the network."""
    file, net = folder / "page.html", folder / "net.json"
    file.write_text(text, encoding="utf-8")
    words = [
        "chromium", *BROWSER, f"--user-data-dir={folder / 'user'}", f"--log-net-log={net}",
        *options, file.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return done, net.read_text()


@needs_browser
def test_a_browser_shows_it_without_network_script_or_complaint(page: str, tmp_path: Path) -> None:
    done, net = _browse(tmp_path, page, "--dump-dom")
    assert "CONSOLE" not in done.stderr, done.stderr
    hosts = set(re.findall(r"https?://([a-z0-9.:-]+)", net))
    assert all(host.endswith(OWN_HOSTS) for host in hosts), hosts
    assert "Features, the worst first" in done.stdout
    assert "&lt;script&gt;alert('x')&lt;/script&gt;" in done.stdout
    assert "<script" not in done.stdout


@needs_browser
def test_the_browser_would_tell_of_a_page_that_fetches_and_of_one_that_is_forbidden_to(
    page: str, tmp_path: Path
) -> None:
    fetching = '<img src="http://127.0.0.1:1/spy.png" alt="">'
    (tmp_path / "free").mkdir()
    _, net = _browse(tmp_path / "free", f"<!doctype html>{fetching}", "--dump-dom")
    assert "127.0.0.1:1/spy.png" in net
    tampered = page.replace("</body>", f"{fetching}</body>")
    done, net = _browse(tmp_path, tampered, "--dump-dom")
    assert "Content Security Policy" in done.stderr
    assert "127.0.0.1:1/spy.png" not in net


@needs_browser
def test_a_browser_draws_it(page: str, tmp_path: Path) -> None:
    shot = tmp_path / "page.png"
    _browse(tmp_path, page, f"--screenshot={shot}")
    assert shot.read_bytes().startswith(b"\x89PNG")
    assert shot.stat().st_size > 100_000  # 4 kB is a white one


def test_what_is_seen_goes_back_to_the_reports(alive: Project, found: ModelReport) -> None:
    assert [point.level for point in found.drift] == [
        point.level for point in history.of_drift(alive, "hostile", last=200).points
    ]
    verdicts = [point.verdict for point in found.drift]
    assert {"ok", "drift", "insufficient_data"} <= set(verdicts)
