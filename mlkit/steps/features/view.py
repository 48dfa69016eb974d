"""The declarations of ``features.py``: feature views and on-demand transformations.

Plain values: a declaration imports neither pandas nor pyarrow. They are loaded by
``flows/features/declarations.py`` and computed by ``flows/features/view_rows.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from mlkit import names
from mlkit.errors import InvalidInputError
from mlkit.settings.table import duration

OnMissing = Literal["null", "refuse"] | Mapping[str, Any]
Check = Mapping[str, Mapping[str, Any]] | Callable[[Any], Any]

KEY_TYPES: Final[Mapping[str, type]] = {"integer": int, "text": str}
"""What an entity may be, in the words of ``dtypes.NAMES``, and what its ids are in Python."""


@dataclass(frozen=True)
class FeatureView:
    """Values of an entity over time: one row has the values that are valid from its time on.

    ``function`` computes the rows from those of dataset ``source``; a SQL view has ``query``
    instead, which runs over dataset ``source`` or on the database with the URL ``source``. The view
    can be called like its function, for example in a test.
    """

    name: str
    source: str
    entity: str
    time: str
    ttl: str | None = None
    version: int = 1
    on_missing: OnMissing = "null"
    owner: str = ""
    description: str = ""
    tests: tuple[Check, ...] = ()
    function: Callable[[Any], Any] | None = None
    query: str | None = None

    def __call__(self, frame: Any) -> Any:
        """Call the function on ``frame``."""
        if self.function is None:
            raise InvalidInputError(f"{self} is a SQL view, which is not a function")
        return self.function(frame)

    def __str__(self) -> str:
        """Return the name used in messages."""
        return f"feature view '{self.name}'"

    @property
    def is_query_of_a_database(self) -> bool:
        """Whether the source is a database and not a dataset of the project."""
        return "://" in self.source

    @property
    def place(self) -> str:
        """The source without the user and password that a URL may hold."""
        if not self.is_query_of_a_database:
            return self.source
        scheme, _, rest = self.source.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    @property
    def ttl_us(self) -> int | None:
        """How long a value is valid, in microseconds; None: for ever."""
        return microseconds(self.ttl)

    @property
    def defaults(self) -> dict[str, Any]:
        """The default for a missing value, by column; null for columns without one."""
        return dict(self.on_missing) if isinstance(self.on_missing, Mapping) else {}


@dataclass(frozen=True)
class OnDemand:
    """Features computed from the columns of a request, by the same function as in training.

    The function gets a frame with the columns ``inputs`` and returns one with the same rows in the
    same order, whose columns are new features. Rows must be independent of each other.
    """

    name: str
    inputs: tuple[str, ...]
    function: Callable[[Any], Any]
    version: int = 1
    owner: str = ""
    description: str = ""
    tests: tuple[Check, ...] = ()

    def __call__(self, frame: Any) -> Any:
        """Return the new columns for ``frame``."""
        return self.function(frame)

    def __str__(self) -> str:
        """Return the name used in messages."""
        return f"on-demand transformation '{self.name}'"


def feature_view(
    *,
    source: str,
    entity: str,
    time: str,
    ttl: str | None = None,
    version: int = 1,
    on_missing: OnMissing = "null",
    owner: str = "",
    description: str = "",
    tests: Sequence[Check] = (),
) -> Callable[[Callable[[Any], Any]], FeatureView]:
    """Declare the decorated function as a feature view with its name.

    >>> @feature_view(source="weather", entity="origin", time="time_hour", ttl="3h")
    ... def weather_at_origin(weather):
    ...     return weather[["origin", "time_hour", "temp"]]
    >>> weather_at_origin.name, weather_at_origin.ttl_us
    ('weather_at_origin', 10800000000)
    """

    def declare(function: Callable[[Any], Any]) -> FeatureView:
        return _checked(
            FeatureView(
                name=function.__name__,
                source=source,
                entity=entity,
                time=time,
                ttl=ttl,
                version=version,
                on_missing=on_missing,
                owner=owner,
                description=description or (function.__doc__ or "").strip().split("\n")[0],
                tests=tuple(tests),
                function=function,
            )
        )

    return declare


def sql_view(
    name: str,
    *,
    source: str,
    query: str,
    entity: str,
    time: str,
    ttl: str | None = None,
    version: int = 1,
    on_missing: OnMissing = "null",
    owner: str = "",
    description: str = "",
    tests: Sequence[Check] = (),
) -> FeatureView:
    """Declare a feature view by a query on a dataset or a database (a SQLAlchemy URL)."""
    if not isinstance(query, str) or not query.strip():
        raise InvalidInputError(f"feature view '{name}': query is empty")
    return _checked(
        FeatureView(
            name=name,
            source=source,
            entity=entity,
            time=time,
            ttl=ttl,
            version=version,
            on_missing=on_missing,
            owner=owner,
            description=description,
            tests=tuple(tests),
            query=query,
        )
    )


def on_demand(
    *,
    inputs: Sequence[str],
    version: int = 1,
    owner: str = "",
    description: str = "",
    tests: Sequence[Check] = (),
) -> Callable[[Callable[[Any], Any]], OnDemand]:
    """Declare the decorated function as an on-demand transformation with its name.

    >>> @on_demand(inputs=["distance", "air_time"])
    ... def speed(rows):
    ...     return (rows["distance"] / rows["air_time"]).to_frame("speed")
    >>> speed.inputs
    ('distance', 'air_time')
    """

    def declare(function: Callable[[Any], Any]) -> OnDemand:
        made = OnDemand(
            name=names.check("on-demand transformation", function.__name__),
            inputs=() if isinstance(inputs, str) else tuple(inputs),
            function=function,
            version=version,
            owner=owner,
            description=description or (function.__doc__ or "").strip().split("\n")[0],
            tests=tuple(tests),
        )
        if not made.inputs:
            raise InvalidInputError(f"{made}: inputs must be a list of column names")
        _check_version(made)
        return made

    return declare


def microseconds(ttl: str | None) -> int | None:
    """Return a duration such as ``3h`` in microseconds, or None.

    >>> microseconds("90m")
    5400000000
    """
    return None if ttl is None else duration(ttl) // timedelta(microseconds=1)


def check_tests(tests: Sequence[Check], owner: object) -> None:
    """Raise InvalidInputError for a test that is neither a function nor rules by column."""
    for test in tests:
        if not callable(test) and not isinstance(test, Mapping):
            raise InvalidInputError(
                f"{owner}: a test is a function or rules such as "
                f'{{"temp": {{"greater_than": -60}}}}, not {test!r}'
            )


def _checked(view: FeatureView) -> FeatureView:
    names.check("feature view", view.name)
    for word in ("source", "entity", "time"):
        if not isinstance(getattr(view, word), str) or not getattr(view, word):
            raise InvalidInputError(f"{view}: {word} must be a name")
    if view.entity == view.time:
        raise InvalidInputError(f"{view}: entity and time are the same column '{view.time}'")
    if not view.is_query_of_a_database:
        names.check("dataset", view.source)
    _check_version(view)
    _check_ttl(view)
    if not isinstance(view.on_missing, Mapping) and view.on_missing not in ("null", "refuse"):
        raise InvalidInputError(
            f'{view}: on_missing is "null", "refuse" or values by column, not {view.on_missing!r}'
        )
    check_tests(view.tests, view)
    return view


def _check_version(made: FeatureView | OnDemand) -> None:
    if isinstance(made.version, bool) or not isinstance(made.version, int) or made.version < 1:
        raise InvalidInputError(f"{made}: version counts from 1, not {made.version!r}")


def _check_ttl(view: FeatureView) -> None:
    try:
        microseconds(view.ttl)
    except (InvalidInputError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            f"{view}: ttl {view.ttl!r} is not a duration; write for example 90m, 3h or 7d"
        ) from error
