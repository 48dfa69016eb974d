"""Load a version for serving, in a thread that the caller may stop waiting for."""

import time
from concurrent.futures import Future

from mlkit.errors import DamagedError
from mlkit.flows.features import requests
from mlkit.flows.features.online import Online
from mlkit.flows.registry import deploy, model_files
from mlkit.project import Project
from mlkit.server.models import rule_guard
from mlkit.server.models.held import Held
from mlkit.store.registry import ModelVersion


def load_into(
    future: "Future[Held]", project: Project, online: Online, version: ModelVersion
) -> None:
    """Load ``version`` and put it, or the error, into ``future``."""
    started = time.perf_counter()
    try:
        size = project.artifacts.path(version.artifact_sha256).stat().st_size
        loaded = deploy.load_version(project, version)
        future.set_result(
            Held(
                loaded,
                load_s=time.perf_counter() - started,
                size_bytes=size,
                sha256=version.artifact_sha256,
                guard=rule_guard.make(loaded) if project.settings.server.guard != "off" else None,
                features=requests.of(project, online, version),
                max_chars=project.settings.server.max_text_chars,
                csv=model_files.csv_of_model(project, version.id),
            )
        )
    except Exception as error:  # noqa: BLE001  # raised again in the thread that waits
        future.set_exception(error)
    except BaseException as error:  # noqa: BLE001  # a library that exits fails only this load
        future.set_exception(DamagedError(f"its code ended with {type(error).__name__}: {error}"))
