"""Every setting: one typed table of names, defaults and helps.

``docs/settings.md`` is generated from it; nothing else knows a default.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from mlkit.settings.values import (
    Count,
    Duration,
    InARow,
    OptionalDuration,
    OutOf,
    Positive,
    Reference,
    Seconds,
    Section,
    duration,
    out_of,
    zone,
)
from mlkit.settings.watching import Alerts, Drift, Features, Performance

__all__ = [
    "Alerts", "Backup", "DatasetSettings", "Db", "Drift", "Features", "Gate", "Jobs", "Log",
    "ModelSettings", "Performance", "ProjectSettings", "Retrain", "Server", "Setting",
    "Settings", "Train", "duration",
    "helps", "out_of", "table", "zone",
]  # fmt: skip


class ProjectSettings(Section, frozen=True):
    """The project folder itself."""

    group: Annotated[
        bool,
        Meta(
            description="the Linux users in the group of the project folder all work on it; "
            "begin with: mlkit init DIR --group NAME"
        ),
    ] = False


class Db(Section, frozen=True):
    """Where the registry lives."""

    url: Annotated[
        str,
        Meta(description="SQLAlchemy URL of the database; empty means ml.sqlite in the project"),
    ] = ""
    busy_timeout_s: Annotated[
        Seconds, Meta(description="how long a writer waits for another before exit code 4")
    ] = 10.0


class Server(Section, frozen=True):
    """``mlkit serve``."""

    host: Annotated[
        str, Meta(description="address to listen on; anything but loopback needs a token")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port")] = 8000
    workers: Annotated[Positive, Meta(description="worker processes")] = 2
    trust_network: Annotated[
        bool,
        Meta(
            description="serve beyond loopback without a token: only in a container whose platform "
            "checks the clients"
        ),
    ] = False
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(description="Host header names answered besides localhost and the bound address"),
    ] = ()
    rate: Annotated[
        Count, Meta(description="requests a second of a token without a rate of its own; 0: any")
    ] = 0
    max_failures: Annotated[
        Count,
        Meta(
            description="wrong tokens a minute from one address before it has to wait, counted by "
            "each worker; 0: any number"
        ),
    ] = 10
    access_log: Annotated[
        bool, Meta(description="a line on stderr for every request that is answered")
    ] = False
    refusal_log: Annotated[
        Count,
        Meta(
            description="lines a minute about refused requests, of each status, that each worker "
            "writes to stderr; 0: none"
        ),
    ] = 60
    max_body_bytes: Annotated[Positive, Meta(description="largest request body")] = 5_000_000
    max_rows: Annotated[Positive, Meta(description="most rows in one request")] = 10_000
    max_text_chars: Annotated[
        Positive,
        Meta(
            description="longest text value, in characters: of a category, an entity id or an "
            "actual, in a request and in a file of rows or actuals"
        ),
    ] = 10_000
    guard: Annotated[
        Literal["off", "count", "refuse"],
        Meta(
            description="rows that break a rule of the training data (a range, a list, a check): "
            "count them in the metrics, or refuse the request with 422; wrong types always are"
        ),
    ] = "count"
    reload_s: Annotated[
        Annotated[float, Meta(gt=0)],
        Meta(description="how often a worker looks for a promotion or rollback"),
    ] = 0.25
    tokens_max_age_s: Annotated[
        Annotated[float, Meta(gt=0)],
        Meta(
            description="when the tokens cannot be read for this long (database gone, locked), "
            "requests are refused with 503: one of them may have been revoked"
        ),
    ] = 5.0
    load_s: Annotated[
        Annotated[float, Meta(gt=0)],
        Meta(description="a version that takes longer to load does not take over"),
    ] = 20.0
    lazy: Annotated[
        bool, Meta(description="load a model when it is first asked for, not at the start")
    ] = False
    memory_mb: Annotated[
        Count,
        Meta(
            description="artifacts (MB on disk) that a worker keeps loaded, those used last; the "
            "others are loaded when asked for; 0: all of them"
        ),
    ] = 0
    threads: Annotated[
        Positive,
        Meta(description="requests that a worker has in hand at most, slow senders included"),
    ] = 256
    connections: Annotated[
        Positive,
        Meta(
            description="connections that a worker keeps open at most; beyond half of them those "
            "that have been silent longest are closed"
        ),
    ] = 1_000
    body_s: Annotated[
        Annotated[float, Meta(gt=0)],
        Meta(
            description="a request whose body is not there whole by then is refused with 408; less "
            "time is given while most threads wait for bodies"
        ),
    ] = 30.0
    idle_s: Annotated[
        Annotated[float, Meta(gt=0)],
        Meta(
            description="a connection over which no whole request head comes for this long is "
            "closed, whether it is new or kept alive"
        ),
    ] = 75.0
    default_model: Annotated[
        str,
        Meta(description="model behind /invocations; empty: the only one that has a champion"),
    ] = ""


class Log(Section, frozen=True):
    """The prediction log."""

    durability: Annotated[
        Literal["process", "power", "off"],
        Meta(
            description="process: survives any process death; power: fsync before the reply; "
            "off: nothing is logged"
        ),
    ] = "process"
    on_full: Annotated[
        Literal["refuse", "drop"],
        Meta(
            description="when the log cannot be written (disk full): refuse answers 503, drop "
            "answers without a record and counts it"
        ),
    ] = "refuse"
    import_s: Annotated[
        Annotated[float, Meta(gt=0)],
        Meta(description="how often the journal moves into the database"),
    ] = 0.5
    seal_after: Annotated[
        Duration, Meta(description="age at which rows move from the database to Parquet segments")
    ] = "30d"
    keep: Annotated[Duration, Meta(description="age at which sealed segments are deleted")] = "365d"


class Train(Section, frozen=True):
    """``mlkit train`` and retraining."""

    seed: Annotated[Count, Meta(description="seed of every random choice")] = 0
    holdout: Annotated[
        Annotated[float, Meta(gt=0, lt=1)],
        Meta(description="share of rows held out: the newest if there is a time column"),
    ] = 0.2
    min_rows: Annotated[Positive, Meta(description="fewest rows a model may be trained on")] = 50
    bootstrap: Annotated[
        Positive, Meta(description="resamples behind each confidence interval")
    ] = 500
    confidence: Annotated[
        Annotated[float, Meta(gt=0, lt=1)], Meta(description="level of every interval")
    ] = 0.95


class Gate(Section, frozen=True):
    """What a candidate must show before it may be promoted."""

    max_latency_ms: Annotated[
        Annotated[float, Meta(gt=0)],
        Meta(description="median time of a one-row prediction at most"),
    ] = 250.0
    min_rows: Annotated[
        Positive, Meta(description="fewest holdout rows for a comparison with the champion")
    ] = 30


class Retrain(Section, frozen=True):
    """``mlkit retrain`` and the retrain job."""

    data: Annotated[
        Literal["log", "source", "both"],
        Meta(
            description="log: logged rows with ripe actuals; source: read the dataset's source "
            "again; both: the source's rows and then the logged ones, none twice"
        ),
    ] = "log"
    window: Annotated[
        Duration, Meta(description="age of the oldest logged row that is trained on")
    ] = "90d"
    source_window: Annotated[
        OptionalDuration,
        Meta(description="age of the oldest row of the source that is trained on; off: any"),
    ] = "off"
    half_life: Annotated[
        OptionalDuration,
        Meta(
            description="a row this much older than the newest weighs half as much in training; "
            "off: all weigh the same"
        ),
    ] = "off"
    on: Annotated[
        Literal["alert", "always", "never"],
        Meta(description="when the retrain job acts: on an open alert, at every run, or never"),
    ] = "alert"
    promote: Annotated[bool, Meta(description="promote a candidate that the gate accepts")] = True


class Jobs(Section, frozen=True):
    """The runner of ``jobs/``."""

    deadline_s: Annotated[Positive, Meta(description="a job that runs longer is stopped")] = 3600
    grace_s: Annotated[
        Seconds, Meta(description="time between SIGTERM and SIGKILL for a job at its deadline")
    ] = 10.0
    memory_mb: Annotated[
        Count, Meta(description="data-segment limit of a job in MiB; 0 sets none")
    ] = 8192
    output_kb: Annotated[
        Positive,
        Meta(description="what a run prints beyond this is left out of the middle of its file"),
    ] = 10_000
    heartbeat_s: Annotated[
        Annotated[float, Meta(gt=0)], Meta(description="how often a running job is marked alive")
    ] = 10.0
    catch_up: Annotated[
        Duration, Meta(description="a slot missed by no more than this runs once after downtime")
    ] = "1d"
    late_after: Annotated[
        Duration,
        Meta(description="a job that no clock has started this long after its slot is late"),
    ] = "30m"
    keep: Annotated[Duration, Meta(description="age at which run records are deleted")] = "90d"


class Backup(Section, frozen=True):
    """``mlkit backup`` and the backup job."""

    keep: Annotated[Positive, Meta(description="newest backups the job leaves in backups/")] = 7


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


class Settings(Section, frozen=True):
    """All settings of a project."""

    project: ProjectSettings = ProjectSettings()
    db: Db = Db()
    server: Server = Server()
    log: Log = Log()
    train: Train = Train()
    gate: Gate = Gate()
    drift: Drift = Drift()
    performance: Performance = Performance()
    retrain: Retrain = Retrain()
    jobs: Jobs = Jobs()
    alerts: Alerts = Alerts()
    features: Features = Features()
    backup: Backup = Backup()
    datasets: dict[str, DatasetSettings] = msgspec.field(default_factory=dict)
    models: dict[str, ModelSettings] = msgspec.field(default_factory=dict)

    def model(self, name: str) -> ModelSettings:
        """Return what ``[models.NAME]`` says, or nothing but the defaults."""
        return self.models.get(name, ModelSettings())

    def drift_window(self, name: str) -> str:
        """Return the window that drift checks of a model look at."""
        return self.model(name).drift_window or self.drift.window

    def performance_window(self, name: str) -> str:
        """Return the window that performance checks of a model look at."""
        return self.model(name).performance_window or self.performance.window

    def drift_reference(self, name: str) -> str:
        """Return what drift checks of a model compare it with."""
        return self.model(name).drift_reference or self.drift.reference


class Setting(NamedTuple):
    """One row of the settings table."""

    name: str
    default: object
    help: str


def table() -> Iterator[Setting]:
    """Yield every setting as ``(name, default, help)``, in the order of ``mlkit.toml``."""
    for section in msgspec.structs.fields(Settings):
        if not isinstance(section.default, Section):
            continue
        for field in msgspec.structs.fields(type(section.default)):
            name = f"{section.encode_name}.{field.encode_name}"
            yield Setting(name, field.default, _description(field.type))


def helps(kind: type[Section]) -> dict[str, str]:
    """Return the help of each setting of one section, "" for one that has none."""
    found = {}
    for field in msgspec.structs.fields(kind):
        metas = getattr(field.type, "__metadata__", ())
        found[field.encode_name] = next((str(m.description) for m in metas if m.description), "")
    return found


def _description(annotation: Any) -> str:
    for meta in getattr(annotation, "__metadata__", ()):
        if meta.description:
            return str(meta.description)
    raise AssertionError(f"a setting without help: {annotation}")
