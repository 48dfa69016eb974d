"""Slots are what the expression says, bad expressions and folders are refused with the reason."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit import timetable
from mlkit.errors import InvalidInputError, NotFoundError
from mlkit.project import Project, create_project
from mlkit.store import runs
from mlkit.timetable import Job

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def nothing(_project: Project) -> str:
    return "done"


def _numbers(first: int, last: int) -> st.SearchStrategy[tuple[str, set[int]]]:
    """A cron field over ``first`` to ``last`` and the values it stands for."""
    value = st.integers(first, last)
    step = st.integers(2, last)
    pair = st.tuples(value, value).map(sorted)
    return st.one_of(
        st.just(("*", set(range(first, last + 1)))),
        step.map(lambda n: (f"*/{n}", set(range(first, last + 1, n)))),
        pair.map(lambda p: (f"{p[0]}-{p[1]}", set(range(p[0], p[1] + 1)))),
        st.tuples(pair.filter(lambda p: p[0] < p[1]), step).map(
            lambda t: (f"{t[0][0]}-{t[0][1]}/{t[1]}", set(range(t[0][0], t[0][1] + 1, t[1])))
        ),
        st.sets(value, min_size=1, max_size=3).map(
            lambda values: (",".join(map(str, sorted(values))), set(values))
        ),
    )


def _weekdays() -> st.SearchStrategy[tuple[str, set[int]]]:
    listed = st.sets(st.integers(0, 6), min_size=1).map(
        lambda days: (",".join(DAYS[day] for day in sorted(days)), set(days))
    )
    spans = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(sorted).map(
        lambda p: (f"{DAYS[p[0]]}-{DAYS[p[1]]}", set(range(p[0], p[1] + 1)))
    )  # fmt: skip
    return st.one_of(st.just(("*", set(range(7)))), listed, spans)


def _brute_force(start: datetime, step: timedelta, fields: list[set[int]]) -> datetime | None:
    """Walk minute by minute until every field agrees; give up after four weeks."""
    minutes, hours, days, weekdays = fields
    moment = start
    for _ in range(4 * 7 * 24 * 60):
        if (
            moment.minute in minutes
            and moment.hour in hours
            and moment.day in days
            and moment.weekday() in weekdays
        ):
            return moment
        moment += step
    return None


@settings(max_examples=40, deadline=None)
@given(
    minute=_numbers(0, 59),
    hour=_numbers(0, 23),
    day=_numbers(1, 31),
    weekday=_weekdays(),
    by_weekday=st.booleans(),
    seconds=st.integers(0, 4 * 366 * 86400),
)
def test_slots_equal_those_of_a_walk_through_every_minute(
    minute: tuple[str, set[int]],
    hour: tuple[str, set[int]],
    day: tuple[str, set[int]],
    weekday: tuple[str, set[int]],
    by_weekday: bool,
    seconds: int,
) -> None:
    day, weekday = (
        (("*", set(range(1, 32))), weekday) if by_weekday else (day, ("*", set(range(7))))
    )
    job = Job("any", run=nothing, at=f"{minute[0]} {hour[0]} {day[0]} * {weekday[0]}")
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    fields = [minute[1], hour[1], day[1], weekday[1]]
    whole = moment.replace(second=0)
    after = _brute_force(whole + timedelta(minutes=1), timedelta(minutes=1), fields)
    before = _brute_force(whole, timedelta(minutes=-1), fields)
    if after is not None:
        assert job.next_after(moment) == after
    if before is not None:
        assert job.last_until(moment) == before


def test_a_slot_is_due_from_its_very_moment_on() -> None:
    job = Job("drift", run=nothing, at="30 2 * * *")
    slot = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
    assert job.last_until(slot) == slot
    assert job.last_until(slot + timedelta(microseconds=1)) == slot
    assert job.last_until(slot - timedelta(microseconds=1)) == slot - timedelta(days=1)
    assert job.next_after(slot) == slot + timedelta(days=1)


def test_slots_do_not_follow_a_clock_that_is_set_for_the_summer() -> None:
    job = Job("drift", run=nothing, at="30 2 * * *")
    moment, slots = datetime(2026, 3, 28, tzinfo=UTC), []
    for _ in range(3):
        moment = job.next_after(moment)
        slots.append(moment.isoformat())
    assert slots == [f"2026-03-{day}T02:30:00+00:00" for day in (28, 29, 30)]


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("* * * *", "has 4 fields"),
        ("0 0 * * * *", "has 6 fields"),
        ("@daily", "has 1 fields"),
        ("61 * * * *", "never due"),
        ("5/10 * * * *", "cannot read '5/10'"),
        ("0 5-5/10 * * *", "cannot read '5-5/10'"),
        ("x * * * *", "cannot read 'X'"),
        ("0 0 * * 1", "write names such as MON-FRI"),
        ("0 0 * * FRI-MON", "never due"),
        ("0 0 * * MON#2", "cannot read the weekday"),
        ("0 0 L * *", "cannot read 'L'"),
        ("0 0 1 * MON", "use one of them"),
        ("0 0 */2 * MON", "use one of them"),
        ("0 0 30 2 *", "never due"),
        ("*/0 * * * *", "never due"),
        ("5-1 * * * *", "never due"),
    ],
)
def test_a_time_that_clocks_would_read_differently_or_never_is_refused(at: str, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        Job("drift", run=nothing, at=at)


def test_a_job_name_is_never_a_path() -> None:
    with pytest.raises(InvalidInputError, match="cannot name a job"):
        Job("../drift", run=nothing, at="0 0 * * *")


def _write(project: Project, text: str) -> None:
    (project.root / "jobs").mkdir(exist_ok=True)
    (project.root / "jobs" / "__init__.py").write_text(text)


TABLE = """
from mlkit.timetable import Job
def run(project):
    return {word!r}
TIMETABLE = (Job({word!r}, run=run, at="0 3 * * *"),)
"""


def test_each_project_has_its_own_timetable(project: Project, tmp_path: Path) -> None:
    other_root = tmp_path / "other"
    other_root.mkdir()
    (other_root / "mlkit.toml").touch()
    other = create_project(other_root, environment={})
    _write(project, TABLE.format(word="one"))
    _write(other, TABLE.format(word="two"))
    assert [job.name for job in timetable.load(project)] == ["one"]
    assert [job.name for job in timetable.load(other)] == ["two"]
    assert [job.name for job in timetable.load(project)] == ["one"]
    other.close()


def test_a_job_file_may_use_the_users_modules_but_these_replace_no_library(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (project.root / "own_rules.py").write_text("WORD = 'ours'")
    (project.root / "colorsys.py").write_text("1 / 0")
    head = "import colorsys\nfrom own_rules import WORD\nfrom jobs.deep import at\n"
    _write(project, head + TABLE.format(word="drift").replace('"0 3 * * *"', "at"))
    (project.root / "jobs" / "deep.py").write_text("at = '1 2 3 * *'")
    (job,) = timetable.load(project)
    assert job.at == "1 2 3 * *"
    assert sys.modules["own_rules"].WORD == "ours"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must define TIMETABLE"),
        ("TIMETABLE = [1]", "must define TIMETABLE"),
        ("TIMETABLE = (1,)", "must define TIMETABLE"),
        ("TIMETABLE = (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("import no_such_module", "no_such_module"),
        (TABLE.format(word="twice") + "TIMETABLE = TIMETABLE * 2", "two jobs are named 'twice'"),
        (TABLE.format(word="job").replace("0 3 * * *", "0 3 * * 1"), "write names"),
    ],
)
def test_a_broken_timetable_says_where_and_why(project: Project, text: str, why: str) -> None:
    _write(project, text)
    with pytest.raises(InvalidInputError, match=why):
        timetable.load(project)


def test_a_project_without_jobs_says_so(project: Project) -> None:
    with pytest.raises(NotFoundError, match=r"jobs/__init__\.py is missing"):
        timetable.load(project)


def test_an_unknown_job_is_answered_with_the_known_ones(project: Project) -> None:
    _write(project, TABLE.format(word="drift"))
    with pytest.raises(NotFoundError, match="no job named 'drfit'; known: drift"):
        timetable.find(timetable.load(project), "drfit")


def test_due_times_are_now_the_last_slot_or_any_moment(project: Project) -> None:
    job = Job("drift", run=nothing, at="0 3 * * *")
    assert abs(timetable.due_time(project, job, None) - datetime.now(UTC)) < timedelta(minutes=1)
    assert timetable.due_time(project, job, "slot") == job.last_until(project.now())
    for text in ("2026-01-31T02:30", "2026-01-31T02:30Z", "2026-01-31T03:30+01:00"):
        assert timetable.due_time(project, job, text) == datetime(2026, 1, 31, 2, 30, tzinfo=UTC)
    with pytest.raises(InvalidInputError, match="'noon' is no due time"):
        timetable.due_time(project, job, "noon")


def test_the_plan_shows_the_next_slot_and_the_last_run(project: Project) -> None:
    _write(project, TABLE.format(word="drift"))
    (fresh,) = timetable.plan(project)
    assert (fresh.status, fresh.next > project.now()) == (None, True)
    due = datetime(2026, 1, 1, 3, tzinfo=UTC)
    with project.write() as s:
        run = runs.claim(s, "drift", due, runner="host boot 1 1", now=project.now())
        assert run is not None
        runs.finish(s, run.id, "ok", "all quiet", project.now())
    (ran,) = timetable.plan(project)
    assert (ran.due, ran.status, ran.summary) == (due, "ok", "all quiet")


def test_the_shipped_timetable_loads() -> None:
    root = Path(__file__).parents[1]
    shipped = timetable.load(Project(root=root, settings=None, database=None))  # type: ignore[arg-type]
    assert [job.name for job in shipped] == [
        "drift", "performance", "retrain", "backup", "prune", "materialize", "alerts",
    ]  # fmt: skip
