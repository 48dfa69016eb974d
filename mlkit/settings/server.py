"""The settings of the server and of its prediction log."""

from typing import Annotated, Literal

from msgspec import Meta

from mlkit.settings.values import Count, Duration, Positive, Section


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
