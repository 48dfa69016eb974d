"""The OpenAPI document of the champions of a server."""

import logging
from collections.abc import Mapping

import msgspec

from mlkit import __version__
from mlkit.flows.features import requests
from mlkit.project import Project
from mlkit.server.openapi import specification
from mlkit.server.openapi.models import Described
from mlkit.server.periodic_thread import unexpected
from mlkit.store.registry import ModelVersion

log = logging.getLogger("mlkit.server")


def document(project: Project, champions: Mapping[str, ModelVersion], default: str | None) -> bytes:
    """Return the document as JSON; ``default`` is the model behind ``/invocations``.

    A model that cannot be described is left out and logged; it must not hide the others.
    """
    found = [_described(project, champions[name]) for name in sorted(champions)]
    settings = project.settings.server
    content = specification.document(
        [each for each in found if each is not None],
        max_rows=settings.max_rows,
        max_body_bytes=settings.max_body_bytes,
        version=__version__,
        default=default,
    )
    return msgspec.json.encode(content)


def _described(project: Project, version: ModelVersion) -> Described | None:
    """Return the description of a model, None if that fails."""
    try:
        plan = requests.wanted(project, version)
        return specification.describe(version, plan[1] if plan else None)
    except Exception as error:  # one broken model must not hide the others
        text = "model %s is left out of /openapi.json: %s"
        log.error(text, version.model.name, error, exc_info=unexpected(error))
        return None
