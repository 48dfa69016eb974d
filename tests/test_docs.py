"""Every command on every page works: pages are run from top to bottom, as a reader would."""

import importlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from mlkit.cli.root import COMMANDS
from mlkit.project import Project
from mlkit.store.dialects.sqlite import sqlite_driver

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SHARED = ("customers.csv", "week.csv", "week.json")  # what own_csv/make_csv.py writes
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])
ALONE = (
    "README.md",
    "docs/guide.md",
    "docs/features.md",
    "docs/tutorial-features.md",
    "docs/validation.md",
    "examples/README.md",
    "examples/own_csv/README.md",
    "examples/custom_estimator/README.md",
    "examples/cron_only/README.md",
)
COLD = "examples/own_csv/README.md"  # run with the program as it is installed
IN_A_PROJECT = (
    "docs/data.md",
    "docs/monitoring.md",
    "docs/operations.md",
    "docs/security.md",
    "docs/serving.md",
)
ELSEWHERE = re.compile(r"pip install|mlkit demo")  # .ci/run and the tests of the demo run these


def _commands(page: Path) -> list[str]:
    """Return the commands of the ``console`` blocks: ``$ `` starts one, ``> `` goes on."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    found: list[str] = []
    for line in "".join(blocks).splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        elif line.startswith("> "):
            found[-1] += "\n" + line[2:]
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _reads_databases() -> bool:
    from mlkit.cli.data import add

    return any("--source" in parameter.opts for parameter in add.params)


def _stand_ins(folder: Path, warm: Any) -> None:
    """Put programs into ``folder`` that only write down what would change this machine."""
    folder.mkdir()
    programs = {
        "sudo": f'#!/bin/sh\necho "sudo $*" >> {folder}/asked\n',
        "crontab": f'#!/bin/sh\n[ "$1" = -l ] && exit 1\ncat > {folder}/crontab-installed\n',
    }
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    if warm is not None:
        warm.program(folder)


def _run(page: Path, folder: Path, *, warm: Any = None) -> str:
    """Run the commands of a page in ``folder`` in one shell; the first that fails ends it."""
    commands = [command for command in _commands(page) if not ELSEWHERE.search(command)]
    if any(" --source " in command for command in commands) and not _reads_databases():
        pytest.skip("data add takes no --source yet")
    for tool in ("curl", "sqlite3"):
        if shutil.which(tool) is None and any(tool in command for command in commands):
            pytest.skip(f"this machine has no {tool}")
    port = str(_free_port())
    script = "set -eu -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
    for command in commands:
        script += f"echo {shlex.quote('$ ' + command)}\n{command}\n".replace(":8000", f":{port}")
    _stand_ins(folder.parent / "stand-ins", warm)
    path = [str(folder.parent / "stand-ins"), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {
        "PATH": ":".join(path),
        "HOME": str(folder.parent),
        "MLKIT_SERVER_PORT": port,
        "MLKIT_SERVER_WORKERS": "1",
        "LANG": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with the files that the pages speak of."""
    folder = tmp_path / "room"
    folder.mkdir()
    for name in SHARED:
        shutil.copy(EXAMPLES / "own_csv" / name, folder)
    shutil.copy(ROOT / "ml.sqlite.example", folder)
    return folder


@pytest.mark.parametrize("name", ALONE)
def test_a_page_that_starts_from_nothing_runs_from_top_to_bottom(
    name: str, room: Path, warm: Any
) -> None:
    for file in (ROOT / name).parent.glob("*.py"):
        shutil.copy(file, room)
    if name == "README.md":
        shutil.copytree(EXAMPLES, room / "examples")
    _run(ROOT / name, room, warm=None if name == COLD else warm)
    shop = room / "shop"
    assert (shop / "ml.sqlite").is_file()
    if name == "docs/guide.md":
        _check_guide(room)
    if name == "examples/cron_only/README.md":
        _check_cron_only(room)


def _check_guide(room: Path) -> None:
    """After the walk: a rollback behind, a clock installed, and the restored project the same."""
    asked = (room.parent / "stand-ins" / "asked").read_text()
    assert "systemctl enable --now mlkit-shop-serve.service" in asked
    assert "mlkit-shop-drift.timer mlkit-shop-performance.timer mlkit-shop-retrain.timer" in asked
    assert "job run retrain" in (room.parent / "stand-ins" / "crontab-installed").read_text()
    for project in ("shop", "shop-again"):
        told = _mlkit(room / project, "model", "history", "churn")
        assert [event["action"] for event in told].count("rollback") == 1, told


def _check_cron_only(room: Path) -> None:
    shown = _mlkit(room / "shop", "model", "show", "churn")
    assert {version["version"] for version in shown["versions"]} == {1, 2}
    assert "job run drift" not in (room.parent / "stand-ins" / "crontab-installed").read_text()


def _mlkit(project: Path, *words: str) -> Any:
    command = [sys.executable, "-m", "mlkit", "--project", str(project), *words, "--json"]
    return json.loads(subprocess.check_output(command))


@pytest.fixture
def at_work(trained: Project) -> Path:
    """A project with a bad champion after a good one, and the jobs of a new project."""
    from mlkit.flows.registry import deploy
    from mlkit.flows.training import train  # slow to import

    train.train(trained, "churn", "churn", estimator="dummy")
    deploy.promote(trained, "churn", 2, reason="to be taken back", force=True)
    trained.close()
    shutil.copytree(ROOT / "jobs", trained.root / "jobs")
    for path in (trained.root, *trained.root.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)  # as the command line makes them
    return trained.root


@pytest.mark.parametrize("name", IN_A_PROJECT)
def test_a_page_for_a_project_at_work_runs_from_top_to_bottom(
    name: str, at_work: Path, warm: Any
) -> None:
    _run(ROOT / name, at_work, warm=warm)


def test_the_commands_of_every_page_are_run_by_some_test() -> None:
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        if name not in ALONE and name not in IN_A_PROJECT:
            assert all(ELSEWHERE.search(command) for command in _commands(page)), name


def test_the_guide_walks_the_whole_way() -> None:
    text = "\n".join(_commands(ROOT / "docs" / "guide.md"))
    way = ("init", "data add", "train", "serve", "curl -s http://127.0.0.1:8000/predict",
           "curl -s http://127.0.0.1:8000/actuals", "drift check", "perf check", "retrain",
           "model rollback", "job crontab", "job systemd", "backup create",
           "backup restore")  # fmt: skip
    places = [text.index(step) for step in way]
    assert places == sorted(places)


def _command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that ``words`` name and the words that are left."""
    assert words[0] in COMMANDS, words
    module, attribute, _ = COMMANDS[words[0]]
    command = getattr(importlib.import_module(f"mlkit.cli.{module}"), attribute)
    rest = words[1:]
    while isinstance(command, click.Group) and rest:
        assert rest[0] in command.commands, words
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_mention_of_a_command_names_one_with_these_options(page: Path) -> None:
    for mention in re.findall(r"`mlkit ([a-z][^`]*)`", page.read_text()):
        words = mention.split()
        if not words[0].isalpha():
            continue
        command, rest = _command_of(words)
        known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
        assert {word for word in rest if word.startswith("-")} <= known, mention


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        if not target.startswith("https://"):
            file = page.parent / target if target else page
            assert file.exists(), target
            assert not heading or heading in _anchors(file), (target, heading)


def _anchors(page: Path) -> set[str]:
    """Return what the headings of a page are linked by."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_query_finds_rows_in_the_example_database(page: Path) -> None:
    blocks = re.findall(r"^```sql\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    queries = [query for block in blocks for query in block.split(";") if query.strip()]
    file = f"file:{ROOT / 'ml.sqlite.example'}?mode=ro"
    with closing(sqlite_driver().connect(file, uri=True)) as connection:
        for query in queries:
            assert connection.execute(query).fetchall(), query


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_pages_are_what_the_program_says_today() -> None:
    assert _load(ROOT / "docs" / "generate.py").stale() == []


def test_the_picture_of_the_architecture_is_that_of_the_code() -> None:
    rooms = _load(ROOT / "docs" / "rooms.py")
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert rooms.rendered(page) == page
    named = list(rooms.names())
    assert len(named) > 50
    assert [file for file in named if not file.exists()] == []


def test_the_files_of_the_examples_are_what_their_script_writes(tmp_path: Path) -> None:
    _load(EXAMPLES / "own_csv" / "make_csv.py").main(tmp_path)
    for name in SHARED:
        assert (tmp_path / name).read_bytes() == (EXAMPLES / "own_csv" / name).read_bytes()
