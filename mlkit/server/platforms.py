"""What container platforms require of a server, by the environment variables they set.

SageMaker: SAGEMAKER_BIND_TO_PORT; GET /ping and POST /invocations always exist. Vertex AI:
AIP_HTTP_PORT, AIP_HEALTH_ROUTE and, in KServe's V1 protocol, AIP_PREDICT_ROUTE. Azure ML:
WORKER_COUNT; it configures routes and port itself, and AZUREML_MODEL_DIR may hold the project
(see ``locate_project``).
"""

from collections.abc import Mapping
from typing import NamedTuple

from mlkit.errors import InvalidInputError

EVERYWHERE = "0.0.0.0"  # noqa: S104  # the platform reaches a container from outside

_MOST_WORKERS = 256
_PORTS = ("SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT")
_HEALTH = "AIP_HEALTH_ROUTE"
_PREDICT = "AIP_PREDICT_ROUTE"
_WORKERS = "WORKER_COUNT"  # used by other programs too, so it is read on Azure ML alone
_AZURE = "AZUREML_MODEL_DIR"


class Platform(NamedTuple):
    """Where to listen, and the platform's own paths for ``/readyz`` and for predictions."""

    port: int | None = None
    workers: int | None = None
    health: str | None = None
    predict: str | None = None


def detect(environment: Mapping[str, str]) -> Platform:
    """Return what the environment requires; raises InvalidInputError that names the variable."""
    ports = {name: environment[name] for name in _PORTS if environment.get(name)}
    numbers = {_port(name, text) for name, text in ports.items()}
    if len(numbers) > 1:
        raise InvalidInputError(f"{' and '.join(ports)} name different ports; unset one of them")
    return Platform(
        port=next(iter(numbers), None),
        workers=_workers(environment) if environment.get(_AZURE) else None,
        health=_path(environment, _HEALTH),
        predict=_path(environment, _PREDICT),
    )


def _port(name: str, text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise InvalidInputError(
        f"environment variable {name}: '{text}' is no port; use a number from 1 to 65535"
    )


def _workers(environment: Mapping[str, str]) -> int | None:
    text = environment.get(_WORKERS)
    if not text or (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_WORKERS):
        return int(text) if text else None
    raise InvalidInputError(
        f"environment variable {_WORKERS}: '{text}' is no number of workers; "
        f"use one from 1 to {_MOST_WORKERS}"
    )


def _path(environment: Mapping[str, str], name: str) -> str | None:
    path = environment.get(name)
    if not path:
        return None
    if not path.startswith("/") or any(sign in path for sign in "<>?#") or not path.isascii():
        raise InvalidInputError(
            f"environment variable {name}: '{path}' is no path; it must start with / and have "
            "no <, >, ? or #"
        )
    return path
