"""The settings of one dataset and of one model."""

from typing import Annotated, Literal

from msgspec import Meta

from mlkit.settings.values import (
    Duration,
    InARow,
    OptionalDuration,
    OutOf,
    Reference,
    Section,
    out_of,
)


class DatasetSettings(Section, frozen=True):
    """``[datasets.NAME]``: where new rows of a dataset come from, and how files are written.

    A joined dataset has ``base``, another dataset, whose rows get the features of ``views`` as
    they were at the time of each row, and those of the transformations ``on_demand``.
    """

    source: Annotated[
        str,
        Meta(
            description="a CSV file, a Parquet file or a folder of those, relative to the project; "
            "with a query the SQLAlchemy URL of a database, where ${NAME} is a variable of the "
            "environment"
        ),
    ] = ""
    query: Annotated[str, Meta(description="what to ask the database: a SELECT, read only")] = ""
    delimiter: Annotated[
        str | None, Meta(description="what separates the values of a CSV file; unset: found out")
    ] = None
    encoding: Annotated[
        str | None, Meta(description="encoding of a CSV file; unset: UTF-8, or its byte order mark")
    ] = None
    decimal: Annotated[
        str | None, Meta(description="decimal mark of a CSV file; unset: found out")
    ] = None
    thousands: Annotated[
        str | None, Meta(description="what groups the digits of numbers in a CSV file; unset: none")
    ] = None
    missing: Annotated[
        tuple[str, ...],
        Meta(
            description="what stands for a missing value among the texts of a CSV file, beside "
            "the empty cell"
        ),
    ] = ()
    header: Annotated[
        bool | None,
        Meta(description="whether the first row of a CSV file has the names; unset: it does"),
    ] = None
    names: Annotated[
        tuple[str, ...], Meta(description="the columns of a CSV file without a header")
    ] = ()
    base: Annotated[
        str, Meta(description="dataset that features are joined to, instead of a source")
    ] = ""
    views: Annotated[
        tuple[str, ...], Meta(description="feature views that are joined to the base")
    ] = ()
    on_demand: Annotated[
        tuple[str, ...], Meta(description="on-demand transformations of the joined rows")
    ] = ()

    def __post_init__(self) -> None:
        if self.query and not self.source:
            raise ValueError("a query needs a source, the URL of its database")
        if (self.views or self.on_demand) and not self.base:
            raise ValueError("views and on_demand need a base, the dataset that they are joined to")


class ModelSettings(Section, frozen=True):
    """``[models.NAME]``: what differs for one model from the tables above."""

    drift_window: Duration | None = None
    drift_reference: Reference | None = None
    performance_window: Duration | None = None
    retrain_data: Literal["log", "source", "both"] | None = None
    retrain_window: Duration | None = None
    retrain_source_window: OptionalDuration | None = None
    retrain_half_life: OptionalDuration | None = None
    retrain_on: Literal["alert", "always", "never"] | None = None
    alert_open_after: OutOf | None = None
    alert_resolve_after: InARow | None = None

    def __post_init__(self) -> None:
        if self.alert_open_after is not None:
            out_of(self.alert_open_after)
