"""Every setting: one typed table of names, defaults and helps.

``docs/settings.md`` is generated from this file; nothing else knows a default.
"""

from collections.abc import Iterator
from datetime import UTC, timedelta, tzinfo
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from mlkit.errors import InvalidInputError

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
_UNITS = {"note": "minutes, hours, days or weeks"}
Duration = Annotated[
    str,
    Meta(pattern=r"^[1-9][0-9]*(m|h|d|w)$", examples=["90m", "36h", "7d", "2w"], extra=_UNITS),
]
Reference = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", examples=["training", "seasonal"])
]
OptionalDuration = Annotated[
    str,
    Meta(pattern=r"^([1-9][0-9]*(m|h|d|w)|off)$", examples=["36h", "7d", "off"], extra=_UNITS),
]
InARow = Annotated[int, Meta(ge=1, le=99)]
_LONGEST = timedelta(days=365_250)  # so that what was so long ago has a date
OutOf = Annotated[str, Meta(pattern=r"^[1-9][0-9]? of [1-9][0-9]?$", examples=["2 of 3"])]


def zone(name: str) -> tzinfo:
    """Return the time zone of that name; raises ValueError.

    >>> zone("UTC")
    datetime.timezone.utc
    """
    if name == "UTC":
        return UTC  # needs no files, which a small container may lack
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, ZoneInfoNotFoundError) as error:
        raise ValueError(
            f"no time zone '{name}'; write for example Europe/Berlin (a machine without any takes "
            "them from the package tzdata)"
        ) from error


def out_of(text: str) -> tuple[int, int]:
    """Return the two numbers of a rule such as "2 of 3"; raises ValueError if none can meet it.

    >>> out_of("2 of 3")
    (2, 3)
    """
    few, many = map(int, text.split(" of "))
    if few > many:
        raise ValueError(f"'{text}' can never come true; write for example 2 of 3")
    return few, many


class _Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of ``mlkit.toml``."""


class Db(_Section, frozen=True):
    """Where the registry lives."""

    url: Annotated[
        str,
        Meta(description="SQLAlchemy URL of the database; empty means ml.sqlite in the project"),
    ] = ""
    busy_timeout_s: Annotated[
        Seconds, Meta(description="how long a writer waits for another before exit code 4")
    ] = 10.0


class Server(_Section, frozen=True):
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
    max_body_bytes: Annotated[Positive, Meta(description="largest request body")] = 5_000_000
    max_rows: Annotated[Positive, Meta(description="most rows in one request")] = 10_000
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
    default_model: Annotated[
        str,
        Meta(description="model behind /invocations; empty: the only one that has a champion"),
    ] = ""


class Log(_Section, frozen=True):
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


class Train(_Section, frozen=True):
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


class Gate(_Section, frozen=True):
    """What a candidate must show before it may be promoted."""

    max_latency_ms: Annotated[
        Annotated[float, Meta(gt=0)],
        Meta(description="median time of a one-row prediction at most"),
    ] = 250.0
    min_rows: Annotated[
        Positive, Meta(description="fewest holdout rows for a comparison with the champion")
    ] = 30


class Drift(_Section, frozen=True):
    """``mlkit drift check`` and the drift job."""

    window: Annotated[Duration, Meta(description="rows of the log that are compared")] = "1d"
    reference: Annotated[
        Reference,
        Meta(
            description="what they are compared with: training (data), the previous window, "
            "seasonal (the same hours and weekdays of the weeks before) or the name of a baseline"
        ),
    ] = "training"
    min_rows: Annotated[
        Positive, Meta(description="below this many rows the verdict is insufficient_data")
    ] = 200
    alpha: Annotated[
        Annotated[float, Meta(gt=0, lt=1)],
        Meta(
            description="chance of a false alarm when two files are compared, and the most that "
            "a check may take"
        ),
    ] = 0.05
    false_alarm_every: Annotated[
        Duration,
        Meta(
            description="one false drift alarm per model in this time, however often it is checked"
        ),
    ] = "90d"
    min_ks: Annotated[
        Share, Meta(description="smallest KS distance of a numeric feature worth an alert")
    ] = 0.03
    min_tv: Annotated[
        Share, Meta(description="smallest total variation of a categorical feature worth an alert")
    ] = 0.03
    min_missing: Annotated[
        Share, Meta(description="smallest change of a missing share worth an alert")
    ] = 0.05
    min_violations: Annotated[
        Share,
        Meta(
            description="smallest share of labels never seen, values out of range or of another "
            "type worth an alert, beyond what is usual"
        ),
    ] = 0.01
    joint: Annotated[
        bool,
        Meta(
            description="also let a classifier tell rows from the training data: it sees what no "
            "single feature shows, and takes some seconds"
        ),
    ] = False
    min_joint: Annotated[
        Annotated[float, Meta(ge=0, le=0.5)],
        Meta(description="smallest AUC of that classifier worth an alert, above what is usual"),
    ] = 0.05


class Performance(_Section, frozen=True):
    """``mlkit perf check`` and the performance job."""

    window: Annotated[Duration, Meta(description="rows of the log that are judged")] = "7d"
    min_rows: Annotated[Positive, Meta(description="fewest rows with an actual for a verdict")] = (
        100
    )
    tolerance: Annotated[
        Annotated[float, Meta(ge=0)],
        Meta(description="rise of the loss over the holdout's, relative, that is tolerated"),
    ] = 0.1
    min_maturity: Annotated[
        Share,
        Meta(
            description="share of their actuals that must have come before rows are judged; "
            "0 judges by the first that come"
        ),
    ] = 0.95


class Retrain(_Section, frozen=True):
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


class Jobs(_Section, frozen=True):
    """The runner of ``jobs/``."""

    deadline_s: Annotated[Positive, Meta(description="a job that runs longer is stopped")] = 3600
    grace_s: Annotated[
        Seconds, Meta(description="time between SIGTERM and SIGKILL for a job at its deadline")
    ] = 10.0
    memory_mb: Annotated[
        Count, Meta(description="data-segment limit of a job in MiB; 0 sets none")
    ] = 8192
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


class Alerts(_Section, frozen=True):
    """When an alert opens, who is told of it, when, and where."""

    open_after: Annotated[
        OutOf, Meta(description="bad verdicts among the last ones that open an alert: 2 of 3")
    ] = "1 of 1"
    resolve_after: Annotated[
        InARow, Meta(description="good verdicts in a row that end an alert")
    ] = 1
    cool_down: Annotated[
        OptionalDuration,
        Meta(
            description="the end of an alert is told this much later; if the matter comes back "
            "before, it is the same alert and nobody is told twice; off: at once"
        ),
    ] = "15m"
    escalate_after: Annotated[
        OptionalDuration,
        Meta(
            description="a warning that nobody has acknowledged for this long becomes critical; "
            "off: never"
        ),
    ] = "3d"
    quiet_hours: Annotated[
        str,
        Meta(
            pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])?$",
            examples=["22:00-07:00"],
            description="messages about warnings wait until the end of these hours, for example "
            "22:00-07:00; critical ones never wait",
        ),
    ] = ""
    digest: Annotated[
        Literal["off", "daily", "weekly"],
        Meta(description="gather the warnings in one message a day, or a week on Mondays"),
    ] = "off"
    digest_at: Annotated[
        str,
        Meta(
            pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
            examples=["08:00"],
            description="time of day of that message",
        ),
    ] = "08:00"
    time_zone: Annotated[
        str, Meta(description="time zone of quiet_hours and digest_at, such as Europe/Berlin")
    ] = "UTC"
    command: Annotated[
        tuple[str, ...],
        Meta(description="argv of a program that gets each alert as JSON on its standard input"),
    ] = ()
    webhook_url: Annotated[str, Meta(description="URL that gets each alert as a JSON POST")] = ""
    webhook_format: Annotated[
        Literal["mlkit", "slack", "alertmanager"],
        Meta(
            description="shape of that JSON: mlkit's own, a Slack incoming webhook's, or that of "
            "Alertmanager's /api/v2/alerts"
        ),
    ] = "mlkit"
    webhook_secret: Annotated[
        str, Meta(description="key of the X-Mlkit-Signature header (HMAC-SHA256 of the body)")
    ] = ""
    smtp_host: Annotated[str, Meta(description="mail server; empty sends no mail")] = ""
    smtp_port: Annotated[int, Meta(ge=1, le=65535, description="its port")] = 587
    smtp_starttls: Annotated[bool, Meta(description="encrypt with STARTTLS")] = True
    smtp_user: Annotated[str, Meta(description="login name; empty logs in as nobody")] = ""
    smtp_password: Annotated[str, Meta(description="password of that login")] = ""
    mail_from: Annotated[str, Meta(description="sender address")] = ""
    mail_to: Annotated[tuple[str, ...], Meta(description="recipient addresses")] = ()
    timeout_s: Annotated[Seconds, Meta(description="patience with each of them")] = 10.0
    heartbeat_url: Annotated[
        str,
        Meta(
            description="URL that the job alerts asks for at each run, so that a service outside "
            "notices when this machine is down"
        ),
    ] = ""

    def __post_init__(self) -> None:
        out_of(self.open_after)
        if self.quiet_hours and len(set(self.quiet_hours.split("-"))) == 1:
            raise ValueError("quiet hours begin and end at the same time; leave them empty")
        zone(self.time_zone)


class Features(_Section, frozen=True):
    """Feature views in serving."""

    check_s: Annotated[
        Seconds,
        Meta(description="how often a worker looks whether features have been materialised anew"),
    ] = 0.25
    max_missing: Annotated[
        Share,
        Meta(
            description="an alert opens if the online store has no fresh value for more than this "
            "share of a model's rows"
        ),
    ] = 0.1
    window: Annotated[Duration, Meta(description="of the last requests, over which it counts")] = (
        "15m"
    )
    min_rows: Annotated[Positive, Meta(description="fewest rows in it for such an alert")] = 100
    late_after: Annotated[
        Duration,
        Meta(
            description="an alert opens for a view that a champion needs and that was not "
            "materialised for so long, or for its ttl if that is shorter"
        ),
    ] = "1d"


class Backup(_Section, frozen=True):
    """``mlkit backup`` and the backup job."""

    keep: Annotated[Positive, Meta(description="newest backups the job leaves in backups/")] = 7


class DatasetSettings(_Section, frozen=True):
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


class ModelSettings(_Section, frozen=True):
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


class Settings(_Section, frozen=True):
    """All settings of a project."""

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
    datasets: dict[str, DatasetSettings] = {}
    models: dict[str, ModelSettings] = {}

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
        if not isinstance(section.default, _Section):
            continue
        for field in msgspec.structs.fields(type(section.default)):
            name = f"{section.encode_name}.{field.encode_name}"
            yield Setting(name, field.default, _description(field.type))


def helps(kind: type[_Section]) -> dict[str, str]:
    """Return the help of each setting of one section, "" for one that has none."""
    found = {}
    for field in msgspec.structs.fields(kind):
        metas = getattr(field.type, "__metadata__", ())
        found[field.encode_name] = next((str(m.description) for m in metas if m.description), "")
    return found


def duration(text: str) -> timedelta:
    """Return the length of time that ``text`` names: a whole number of m, h, d or w.

    >>> duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}.get(text[-1:])
    number = text[:-1]
    if unit is None or not (number.isascii() and number.isdigit()) or not number.strip("0"):
        raise InvalidInputError(f"'{text}' is not a duration; write for example 90m, 36h, 7d or 2w")
    try:
        length = timedelta(**{unit: int(number)})
    except (OverflowError, ValueError):  # more days than Python counts, or digits than it reads
        length = timedelta.max
    if length > _LONGEST:
        raise InvalidInputError(f"'{text[:20]}' is longer than a thousand years")
    return length


def _description(annotation: Any) -> str:
    for meta in getattr(annotation, "__metadata__", ()):
        if meta.description:
            return str(meta.description)
    raise AssertionError(f"a setting without help: {annotation}")
