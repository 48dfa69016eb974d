"""The metadata routes of the KServe V1 and V2 protocols: models, their tensors, readiness."""

from typing import TYPE_CHECKING

from mlkit import __version__
from mlkit.server.problems import Reply, json_reply
from mlkit.server.protocols import kserve, v2, v2_metadata, v2_outputs
from mlkit.server.rights import Rights
from mlkit.server.wire import Environ

if TYPE_CHECKING:
    from mlkit.server.service import Service


def kserve_model(service: "Service", environ: Environ, model: str) -> Reply:
    """Answer ``GET /v1/models/<model>``."""

    def describe(rights: Rights) -> Reply:
        return kserve.status(model, ready=service.holder.knows(model, rights.sees))

    return service.describe(environ, kserve, model, describe)


def v2_live(service: "Service", environ: Environ) -> Reply:
    """Answer ``GET /v2/health/live``."""
    return service.health(environ, lambda _rights: json_reply(v2_metadata.Live(live=True)), v2)


def v2_ready(service: "Service", environ: Environ) -> Reply:
    """Answer ``GET /v2/health/ready``."""

    def describe(rights: Rights) -> Reply:
        found = service.readiness(rights).status
        ready = found.startswith("200")
        return json_reply(v2_metadata.Ready(ready), status=int(found[:3]))

    return service.health(environ, describe, v2)


def v2_server(service: "Service", environ: Environ) -> Reply:
    """Answer ``GET /v2``."""
    return service.describe(
        environ, v2, None, lambda _rights: json_reply(v2_metadata.server(__version__))
    )


def v2_model(service: "Service", environ: Environ, model: str, version: str | None = None) -> Reply:
    """Answer ``GET /v2/models/<model>``, with or without its version."""

    def describe(rights: Rights) -> Reply:
        held = service.holder.get(model, version, rights.sees)
        outputs = v2_outputs.names(held.schema, probabilities=held.has_probabilities)
        return json_reply(v2_metadata.model(model, [held.loaded.version], held.schema, outputs))

    return service.describe(environ, v2, model, describe)


def v2_model_ready(
    service: "Service", environ: Environ, model: str, version: str | None = None
) -> Reply:
    """Answer ``GET /v2/models/<model>/ready``, with or without its version."""

    def describe(rights: Rights) -> Reply:
        service.holder.get(model, version, rights.sees)
        return json_reply(v2_metadata.ModelReady(model, ready=True))

    return service.describe(environ, v2, model, describe)
