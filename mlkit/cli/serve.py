"""``mlkit serve``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli.output import with_project

if TYPE_CHECKING:
    from mlkit.project import Project


@click.command()
@click.option("--host", help="Address to listen on. Default: server.host, 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="TCP port; 0 takes any free one. Default: server.port, 8000.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes. Default: server.workers, 2."
)
@with_project
def serve(project: "Project", host: str | None, port: int | None, workers: int | None) -> None:
    """Serve every champion over HTTP.

    \b
    POST /predict/MODEL  {"rows": [{"column": value, ...}]}
    POST /actuals        {"items": [{"prediction_id": "...", "actual": value}]}
    GET  /livez, /readyz, /metrics, /openapi.json

    Clients of MLflow, SageMaker, KServe, Vertex AI and Triton are answered, too. Promotions and
    rollbacks reach it within a second. Ends on SIGTERM, after the requests in hand; on SIGHUP it
    takes over changed settings without a failed request. Any address but loopback needs a token
    (see: mlkit token create).
    """  # noqa: D301  # click's mark of lines to be kept is a backspace, not its spelling
    from mlkit.server.run import serve as run  # imports granian

    run(project, host=host, port=port, workers=workers)
