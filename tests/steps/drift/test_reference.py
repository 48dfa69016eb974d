import io
import zipfile
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from mlkit.errors import DamagedError
from mlkit.steps.drift import design_effect, detection, distance, reference, weekly_effect
from mlkit.steps.drift.detection import DriftRule
from mlkit.steps.inputs.columns import Column, InputSchema


def mixed(rows: int = 300) -> pa.Table:
    rng = np.random.default_rng(0)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    spend = [None if i % 10 == 0 else float(v) for i, v in enumerate(rng.gamma(2, 10, rows))]
    return pa.table(
        {
            "spend": pa.array(spend, pa.float64()),
            "rooms": pa.array(rng.integers(1, 6, rows), pa.int64()),
            "plan": pa.array(rng.choice(["a", "b", "naïve, \n"], rows), pa.string()),
            "active": pa.array(rng.random(rows) < 0.3, pa.bool_()),
            "since": pa.array(
                [start + timedelta(hours=i) for i in range(rows)], pa.timestamp("us", "UTC")
            ),
        }
    )


def test_a_reference_survives_storage() -> None:
    made = reference.summarize(mixed())
    read = reference.load(reference.dump(made))
    assert read.rows == 300
    for before, after in zip(made.columns, read.columns, strict=True):
        assert (before.name, before.measure, before.present, before.labels) == (
            after.name, after.measure, after.present, after.labels,
        )  # fmt: skip
        np.testing.assert_array_equal(before.values, after.values)
        np.testing.assert_array_equal(before.counts, after.counts)


def test_each_kind_of_column_is_kept_as_it_will_be_compared() -> None:
    kept = {profile.name: profile for profile in reference.summarize(mixed()).columns}
    assert {name: profile.measure for name, profile in kept.items()} == {
        "spend": "number", "rooms": "label", "plan": "label", "active": "label", "since": "hour",
    }  # fmt: skip
    assert kept["spend"].present == 270
    assert (np.diff(kept["spend"].values) >= 0).all()
    assert set(kept["rooms"].labels) == {"1", "2", "3", "4", "5"}
    assert kept["rooms"].counts[:-1].sum() == 300
    assert len(kept["since"].labels) == 24


def test_only_the_input_columns_are_kept() -> None:
    schema = InputSchema(
        columns=(Column(name="rooms", kind="integer"),), target="plan", task="classification"
    )
    answers = pa.table({"prediction(value)": ["free", "pro"]})
    further = {"answer": answers, "target": pa.table({"actual(value)": ["pro", "pro"]})}
    read = reference.load(reference.build(schema, mixed(), further, ordered=False, span_s=60.0))
    assert [(profile.name, profile.rows) for profile in read.columns] == [
        ("rooms", 300), ("prediction(value)", 2), ("actual(value)", 2),
    ]  # fmt: skip
    assert read.span_s == 60.0
    assert [profile.name for profile in read.of_target().columns] == ["actual(value)"]
    assert [profile.name for profile in read.of_requests().columns] == [
        "rooms", "prediction(value)",
    ]  # fmt: skip


def test_rows_in_time_order_show_how_windows_of_them_scatter() -> None:
    rng = np.random.default_rng(5)
    slow = np.repeat(rng.normal(size=400), 10)
    names = np.repeat(rng.choice(["a", "b", "c"], 400), 10)
    holes = np.repeat(rng.random(400) < 0.3, 10)
    gappy = pa.array(np.where(holes, np.nan, rng.normal(size=4_000)), from_pandas=True)
    table = pa.table(
        {"slow": slow, "names": names, "quick": rng.normal(size=4_000), "gappy": gappy}
    )
    found = reference.load(reference.dump(reference.summarize(table, ordered=True)))
    assert found.sizes == design_effect.sizes(4_000)
    taus = {profile.name: profile.taus for profile in found.columns}
    assert all(5 < np.median(taus[name][0]) < 20 for name in ("slow", "names"))
    assert 5 < np.median(taus["gappy"][1]) < 20
    assert np.median(taus["gappy"][0]) == np.median(taus["quick"]) == 1


def test_a_reference_of_the_first_format_is_read_without_taus() -> None:
    found = reference.summarize(mixed())
    old = reference.load(_as_written_by(1, found))
    assert (old.rows, old.sizes) == (found.rows, ())
    assert all(profile.taus.shape[1] == 0 for profile in old.columns)


@pytest.mark.parametrize("number", [1, 2])
def test_an_older_format_is_compared_as_ever_and_lacks_the_newer_tests(number: int) -> None:
    found = reference.summarize(mixed(2_000).drop_columns(["since"]), ordered=number == 2)
    old = reference.load(_as_written_by(number, found))
    current = mixed(500).set_column(0, "spend", pa.array([1e6] * 500))
    rule = DriftRule(ordered=True)
    tests = {feature.name: feature for feature in detection.compare(old, current, rule).features}
    assert set(tests) == {"spend", "missing(spend)", "rooms", "plan", "active"}
    newer = {feature.name: feature for feature in detection.compare(found, current, rule).features}
    assert set(newer) == set(tests) | {"range(spend)"}
    for name, feature in tests.items():
        assert feature.p_value == pytest.approx(newer[name].p_value, rel=1e-9)


def test_new_profiles_can_borrow_the_taus_of_an_older_format() -> None:
    found = reference.summarize(mixed(4_000), ordered=True)
    old = reference.load(_as_written_by(2, found))
    borrowed = weekly_effect.borrow(found, old)
    current = mixed(500).set_column(0, "spend", pa.array([1e6] * 500))
    tests = detection.compare(borrowed, current, DriftRule(ordered=True)).features
    assert "range(spend)" in {feature.name for feature in tests}


def test_times_that_the_log_holds_as_text_have_a_reference() -> None:
    hours = [f"2026-01-{1 + place // 24:02d}T{place % 24:02d}:00:00Z" for place in range(600)]
    made = reference.summarize(pa.table({"t": hours}), {"t": "datetime"}, ordered=True)
    assert {profile.name for profile in made.columns} >= {"t", "gap(t)"}


def _as_written_by(number: int, found: reference.Reference) -> bytes:
    """Return the file that the program wrote when the format had this number."""
    with np.load(io.BytesIO(reference.dump(found))) as file:
        arrays = {name: file[name] for name in file.files}
    for name in list(arrays):
        if name.startswith(("ends", "known")) or (name.startswith("taus") and number == 1):
            del arrays[name]
        elif name.startswith("taus"):
            arrays[name] = arrays[name][:2]
    header = msgspec.json.decode(arrays["header"].tobytes()) | {"format": number}
    for column in header["columns"]:
        del column["column"], column["derived"], column["kind"], column["usual"]
        if number == 1:
            del column["rows"], column["role"]
    if number == 1:
        del header["sizes"], header["span_s"]
    arrays["header"] = np.frombuffer(msgspec.json.encode(header), dtype=np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_a_format_of_the_future_is_named() -> None:
    header = {"format": 9, "rows": 1, "columns": []}
    stream = io.BytesIO()
    np.savez(stream, header=np.frombuffer(msgspec.json.encode(header), dtype=np.uint8))
    with pytest.raises(DamagedError, match="has format 9; this program reads up to 3"):
        reference.load(stream.getvalue())


def test_the_same_rows_give_the_same_bytes() -> None:
    first, second = (reference.dump(reference.summarize(mixed())) for _ in range(2))
    assert first == second


def test_a_long_column_is_thinned_within_the_stated_error() -> None:
    rng = np.random.default_rng(3)
    values = rng.lognormal(0, 2, 350_000)
    (thin,) = reference.summarize(pa.table({"x": values})).columns
    assert (len(thin.values), thin.present) == (reference.MAX_VALUES, 350_000)
    current = np.sort(rng.lognormal(0.1, 2, 2_000))
    exact = stats.ks_2samp(values, current, method="asymp").statistic
    assert abs(distance.ks(thin.values, current).distance - exact) <= 1 / reference.MAX_VALUES


def test_labels_beyond_the_limit_are_counted_together() -> None:
    names = [f"id{i}" for i in np.random.default_rng(6).integers(0, 400, 4_000)]
    (profile,) = reference.summarize(pa.table({"x": names})).columns
    assert len(profile.labels) == reference.MAX_LABELS
    assert profile.counts.sum() == 2_000
    assert profile.counts[-1] == pytest.approx(2_000 * (400 - reference.MAX_LABELS) / 400, rel=0.1)


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_damage_is_recognised(damage: bytes | None) -> None:
    content = reference.dump(reference.summarize(mixed()))
    broken = content[: len(content) // 2] if damage is None else damage
    with pytest.raises(DamagedError):
        reference.load(broken)


def test_a_file_with_a_pickle_in_it_is_refused() -> None:
    stream = io.BytesIO()
    np.savez(stream, header=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert zipfile.is_zipfile(stream)
    with pytest.raises(DamagedError):
        reference.load(stream.getvalue())
