"""The public surface: commands and their help, import cost, import contracts, one jobs folder."""

import filecmp
import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mlkit.cli.root import COMMANDS, cli

ROOT = Path(__file__).parents[1]
HEAVY = {"pandas", "numpy", "scipy", "sklearn", "flask", "sqlalchemy", "pyarrow", "pandera", "rich"}

CONTRACT = {
    "data": {"add", "list", "show", "validate", "diff"},
    "model": {"list", "show", "history", "compare", "promote", "rollback"},
    "actual": {"add"},
    "drift": {"compare", "check"},
    "perf": {"check"},
    "log": {"show", "export", "seal"},
    "job": {"list", "run", "history", "crontab", "systemd"},
    "alert": {"list", "ack", "test"},
    "backup": {"create", "verify", "restore"},
    "token": {"create", "list", "revoke"},
    "db": {"status", "upgrade"},
}


def _command(name: str) -> click.Command:
    module, attribute, _ = COMMANDS[name]
    command: click.Command = getattr(importlib.import_module(f"mlkit.cli.{module}"), attribute)
    return command


def _imported(words: list[str]) -> set[str]:
    program = (
        "import sys\n"
        "from mlkit.cli.root import cli\n"
        f"try: cli({words!r}, prog_name='mlkit')\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "print('\\nimported', *sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_help_and_version_import_nothing_heavy() -> None:
    assert not _imported(["--help"]) & HEAVY
    assert not _imported(["--version"]) & HEAVY


def test_no_command_imports_anything_heavy_before_it_runs() -> None:
    program = (
        "import importlib, sys\n"
        "from mlkit.cli.root import COMMANDS\n"
        "for module, _, _ in COMMANDS.values(): importlib.import_module(f'mlkit.cli.{module}')\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_says_what_each_command_says_itself(name: str) -> None:
    first_line = (_command(name).help or "").split("\n")[0]
    assert first_line == COMMANDS[name][2]


@pytest.mark.parametrize("name", CONTRACT)
def test_every_promised_subcommand_exists(name: str) -> None:
    group = _command(name)
    assert isinstance(group, click.Group)
    assert set(group.commands) >= CONTRACT[name]


def _leaves(
    command: click.Command, path: tuple[str, ...]
) -> list[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        return [
            leaf for name, sub in command.commands.items() for leaf in _leaves(sub, (*path, name))
        ]
    return [(path, command)]


def test_every_command_and_every_option_has_help() -> None:
    for name in COMMANDS:
        for path, command in _leaves(_command(name), (name,)):
            assert command.help, path
            for param in command.params:
                if isinstance(param, click.Option):
                    assert param.help, (path, param.name)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_prints(name: str) -> None:
    from click.testing import CliRunner

    result = CliRunner().invoke(cli, [name, "--help"], prog_name="mlkit")
    assert result.exit_code == 0
    assert "Usage: mlkit" in result.output


def test_an_unknown_command_is_a_usage_error() -> None:
    from click.testing import CliRunner

    assert CliRunner().invoke(cli, ["tarin"], prog_name="mlkit").exit_code == 2


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_jobs_that_init_writes_are_the_jobs_of_this_repository() -> None:
    shipped, here = ROOT / "mlkit" / "skeleton" / "jobs", ROOT / "jobs"
    names = sorted(file.name for file in here.glob("*.py"))
    assert names
    assert names == sorted(file.name for file in shipped.glob("*.py"))
    _, mismatch, errors = filecmp.cmpfiles(shipped, here, names, shallow=False)
    assert (mismatch, errors) == ([], [])
