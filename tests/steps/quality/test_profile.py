import msgspec
import numpy as np
import pyarrow as pa

from mlkit.steps.quality import profile
from mlkit.steps.tables import dtypes


def test_a_number_is_described_as_numpy_would() -> None:
    values = np.random.default_rng(0).normal(size=500)
    (found,) = profile.describe(pa.table({"x": values}))
    assert np.allclose(
        [found.mean, found.std, found.minimum, found.maximum],
        [values.mean(), values.std(), values.min(), values.max()],
    )
    assert np.allclose(found.quantiles, np.quantile(values, profile.QUANTILES))


def test_text_and_booleans_show_their_most_frequent_values() -> None:
    table = pa.table({"s": ["b", "a", "b", None], "t": [True, False, True, None]})
    text, boolean = profile.describe(table)
    assert text.top == (("b", 2), ("a", 1))
    assert boolean.top == (("true", 2), ("false", 1))
    assert (text.missing, text.distinct) == (1, 2)


def test_times_show_their_range_and_a_column_of_gaps_only_its_gaps() -> None:
    table = pa.table(
        {"d": pa.array([0, None]).cast(dtypes.DATETIME), "n": pa.nulls(2, dtypes.NUMBER)}
    )
    day, gaps = profile.describe(table)
    assert (day.minimum, day.maximum) == ("1970-01-01T00:00:00+00:00",) * 2
    assert (gaps.missing, gaps.distinct, gaps.mean) == (2, 0, None)


def test_a_profile_fits_into_json() -> None:
    table = pa.table({"x": [1, 2], "s": ["a", "b"]})
    assert msgspec.json.encode(profile.describe(table))
