"""Every setting: one typed table of names, defaults and helps.

``docs/settings.md`` is generated from it; nothing else knows a default.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from mlkit.settings.monitoring import Alerts, Drift, Features, Performance
from mlkit.settings.named import DatasetSettings, ModelSettings
from mlkit.settings.server import Log, Server
from mlkit.settings.values import (
    Count,
    Duration,
    OptionalDuration,
    Positive,
    Seconds,
    Section,
    duration,
    out_of,
    zone,
)

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
