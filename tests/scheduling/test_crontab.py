"""Putting a project's lines into the user's crontab leaves every other line alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.errors import MlkitError
from mlkit.scheduling import crontab

LINES = "CRON_TZ=UTC\n5 1 * * * job\n"
ROOT = Path("/srv/shop")
OTHERS = st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"])))


@given(OTHERS)
def test_all_other_lines_stay_as_they_are_and_ours_come_last_and_once(others: list[str]) -> None:
    first = crontab.merge("\n".join(others), ROOT, "0 0 * * * old\n")
    again = crontab.merge(first, ROOT, LINES)
    assert again.splitlines() == [
        *"\n".join(others).splitlines(),
        "# >>> mlkit /srv/shop",
        *LINES.splitlines(),
        'CRON_TZ=""',
        "# <<< mlkit /srv/shop",
    ]
    assert crontab.remove(again, ROOT).splitlines() == "\n".join(others).splitlines()
    assert again.endswith("\n")


def test_two_projects_have_a_block_each_that_can_be_replaced_alone() -> None:
    both = crontab.merge(crontab.merge("@daily me\n", ROOT, LINES), Path("/srv/shop-2"), LINES)
    assert crontab.merge(both, ROOT, "").splitlines() == [
        "@daily me",
        "# >>> mlkit /srv/shop-2",
        *LINES.splitlines(),
        'CRON_TZ=""',
        "# <<< mlkit /srv/shop-2",
        "# >>> mlkit /srv/shop",
        "",
        'CRON_TZ=""',
        "# <<< mlkit /srv/shop",
    ]


@pytest.fixture
def cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``crontab`` command that keeps the user's crontab in the file returned."""
    kept = tmp_path / "kept"
    program = tmp_path / "crontab"
    program.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = -l ]; then cat {kept} 2>/dev/null || '
        '{ echo "no crontab for me" >&2; exit 1; }\n'
        f"elif [ -f {tmp_path}/broken ]; then echo 'bad minute' >&2; exit 1\n"
        f"else cat > {kept}; fi\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return kept


def test_installing_twice_replaces_the_lines_and_keeps_the_users_own(cron: Path) -> None:
    crontab.install(ROOT, LINES)
    assert "5 1 * * * job" in cron.read_text()
    cron.write_text("@daily me\n" + cron.read_text())
    crontab.install(ROOT, LINES.replace("5 1", "6 2"))
    text = cron.read_text()
    assert text.startswith("@daily me\n")
    assert text.count("job") == 1
    assert "6 2 * * * job" in text


def test_lines_below_keep_the_zone_that_they_had() -> None:
    text = crontab.merge("@daily me\n", ROOT, LINES) + "0 8 * * * coffee\n"
    zones = _zones(text)
    assert zones["5 1 * * * job"] == "UTC"
    assert zones["0 8 * * * coffee"] == ""  # the machine's own
    text = crontab.merge("CRON_TZ = Europe/Berlin\n@daily me\n", ROOT, LINES) + "0 8 * * * tea\n"
    zones = _zones(text)
    assert zones["5 1 * * * job"] == "UTC"
    assert zones["0 8 * * * tea"] == "Europe/Berlin"


def _zones(text: str) -> dict[str, str]:
    """Return the zone of each line, as cronie reads it: that of the last CRON_TZ above it."""
    zone, found = "", {}
    for line in text.splitlines():
        if line.startswith("CRON_TZ"):
            zone = line.partition("=")[2].strip().strip('"')
        elif not line.startswith("#"):
            found[line] = zone
    return found


def test_what_was_installed_can_be_taken_out_again(cron: Path) -> None:
    cron.write_text("@daily me\n\n# mine\n")
    crontab.install(ROOT, LINES)
    assert crontab.uninstall(ROOT)
    assert cron.read_text() == "@daily me\n\n# mine\n"
    assert not crontab.uninstall(ROOT)


def test_what_cron_refuses_is_an_error_and_changes_nothing(cron: Path) -> None:
    cron.write_text("@daily me\n")
    (cron.parent / "broken").touch()
    with pytest.raises(MlkitError, match="cron refused the crontab: bad minute"):
        crontab.install(ROOT, LINES)
    assert cron.read_text() == "@daily me\n"


def test_a_machine_without_cron_is_told_what_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MlkitError, match="no crontab command; install cron, or take"):
        crontab.install(ROOT, LINES)


def test_what_is_below_a_block_without_its_end_is_not_lost(cron: Path) -> None:
    crontab.install(ROOT, LINES)
    cut = cron.read_text().replace("# <<< mlkit /srv/shop\n", "0 4 * * * mine\n")
    cron.write_text(cut)
    with pytest.raises(MlkitError, match="none '# <<< mlkit /srv/shop' below it; put that behind"):
        crontab.install(ROOT, LINES)
    with pytest.raises(MlkitError, match="crontab -e"):
        crontab.uninstall(ROOT)
    assert cron.read_text() == cut


@pytest.mark.parametrize("line", [b"# caf\xe9\n", "0 4 * * * echo a\x0cb\u2028c\n".encode()])
def test_lines_in_any_encoding_stay_byte_for_byte(cron: Path, line: bytes) -> None:
    cron.write_bytes(line)
    crontab.install(ROOT, LINES)
    assert cron.read_bytes().startswith(line + b"# >>> mlkit")
    crontab.uninstall(ROOT)
    assert cron.read_bytes() == line
