"""Every setting: one typed table of names, defaults and helps.

``docs/settings.md`` is generated from this file; nothing else knows a default.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from mlkit.errors import InvalidInputError

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Duration = Annotated[str, Meta(pattern=r"^[1-9][0-9]*(m|h|d|w)$")]


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


class Retrain(_Section, frozen=True):
    """``mlkit retrain`` and the retrain job."""

    data: Annotated[
        Literal["log", "source"],
        Meta(description="log: logged rows with actuals; source: read the dataset's source again"),
    ] = "log"
    window: Annotated[
        Duration, Meta(description="age of the oldest logged row that is trained on")
    ] = "90d"
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
    keep: Annotated[Duration, Meta(description="age at which run records are deleted")] = "90d"


class Alerts(_Section, frozen=True):
    """Where alerts go, besides the log."""

    command: Annotated[
        tuple[str, ...],
        Meta(description="argv of a program that gets each alert as JSON on its standard input"),
    ] = ()
    webhook_url: Annotated[str, Meta(description="URL that gets each alert as a JSON POST")] = ""
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


class Backup(_Section, frozen=True):
    """``mlkit backup`` and the backup job."""

    keep: Annotated[Positive, Meta(description="newest backups the job leaves in backups/")] = 7


class DatasetSettings(_Section, frozen=True):
    """``[datasets.NAME]``: where new rows of a dataset come from."""

    source: str = ""


class ModelSettings(_Section, frozen=True):
    """``[models.NAME]``: what differs for one model from the tables above."""

    drift_window: Duration | None = None
    performance_window: Duration | None = None
    retrain_data: Literal["log", "source"] | None = None
    retrain_window: Duration | None = None
    retrain_on: Literal["alert", "always", "never"] | None = None


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
    backup: Backup = Backup()
    datasets: dict[str, DatasetSettings] = {}
    models: dict[str, ModelSettings] = {}

    def model(self, name: str) -> ModelSettings:
        """Return what ``[models.NAME]`` says, or nothing but the defaults."""
        return self.models.get(name, ModelSettings())


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


def duration(text: str) -> timedelta:
    """Return the length of time that ``text`` names: a whole number of m, h, d or w.

    >>> duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}.get(text[-1:])
    number = text[:-1]
    if unit is None or not (number.isascii() and number.isdigit()) or int(number) == 0:
        raise InvalidInputError(f"'{text}' is not a duration; write for example 90m, 36h, 7d or 2w")
    return timedelta(**{unit: int(number)})


def _description(annotation: Any) -> str:
    for meta in getattr(annotation, "__metadata__", ()):
        if meta.description:
            return str(meta.description)
    raise AssertionError(f"a setting without help: {annotation}")
