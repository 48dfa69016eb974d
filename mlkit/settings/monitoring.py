"""The settings of what watches and tells: drift, performance, features, alerts."""

from typing import Annotated, Literal

from msgspec import Meta

from mlkit.settings.values import (
    Duration,
    InARow,
    OptionalDuration,
    OutOf,
    Positive,
    Reference,
    Seconds,
    Section,
    Share,
    out_of,
    zone,
)


class Drift(Section, frozen=True):
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


class Performance(Section, frozen=True):
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


class Alerts(Section, frozen=True):
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


class Features(Section, frozen=True):
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
