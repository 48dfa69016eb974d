"""The champions that this process serves: loaded beside the old ones, checked, then swapped."""

import logging
import time
from collections.abc import Mapping

import msgspec

from mlkit.errors import BusyError, MlkitError, unknown
from mlkit.flows import alerting, deploy
from mlkit.flows.deploy import Loaded
from mlkit.project import Project
from mlkit.steps.columns import InputSchema
from mlkit.store import registry
from mlkit.store.registry import ModelVersion

_RETRY_S = 30.0  # a version that failed to load is tried again after this time
_KEPT = 2  # versions of a model in memory: the champion and the one before, for a rollback

log = logging.getLogger("mlkit.server")


class Held(msgspec.Struct, frozen=True):
    """A loaded version, and the class names under which its probabilities are answered."""

    loaded: Loaded
    labels: tuple[str, ...]


class Holder:
    """Keep one champion of each model ready; ``refresh`` is called by one thread only."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._generation = -1
        self._retry_at = float("inf")
        self._cache: dict[int, Held] = {}
        self._serving: Mapping[str, Held] = {}
        self._problems: Mapping[str, str] = {}

    @property
    def serving(self) -> Mapping[str, Held]:
        """What answers at present, by model name."""
        return self._serving

    @property
    def problems(self) -> Mapping[str, str]:
        """Why the champion of a model is not what answers, by model name."""
        return self._problems

    def get(self, model: str) -> Held:
        """Return what serves ``model``; raises NotFoundError with the names that are served.

        Raises BusyError if it has a champion of which no version could be loaded.
        """
        held = self._serving.get(model)
        if held is not None:
            return held
        if model in self._problems:
            raise BusyError(f"model '{model}' is not ready: {self._problems[model]}")
        raise unknown("model", model[:100], sorted(self._serving), "mlkit model list")

    def refresh(self) -> None:
        """Follow promotions and rollbacks since the last call; a failed load changes nothing."""
        with self._project.read() as s:
            generation = registry.generation(s)
            if generation == self._generation and time.monotonic() < self._retry_at:
                return
            versions = [deployment.version for deployment in registry.champions(s)]
        serving: dict[str, Held] = {}
        problems: dict[str, str] = {}
        for version in versions:
            name = version.model.name
            held = self._load(version, problems)
            if held is not None:
                serving[name] = held
        self._serving, self._problems = serving, problems
        self._generation = generation
        self._retry_at = time.monotonic() + _RETRY_S if problems else float("inf")
        self._forget()

    def _load(self, version: ModelVersion, problems: dict[str, str]) -> Held | None:
        """Return the version, or what served before if it cannot be loaded."""
        name = version.model.name
        held = self._cache.pop(version.id, None)
        fresh = held is None
        try:
            held = held or self._hold(version)
        except Exception as error:  # noqa: BLE001  # loading runs the code of any library
            problems[name] = f"v{version.number}: {error}"
            self._report(name, problems[name])
            return self._serving.get(name)
        self._cache[version.id] = held  # last in the order of use
        if fresh or name in self._problems:
            self._settle(name, version.number)
        return held

    def _hold(self, version: ModelVersion) -> Held:
        loaded = deploy.load_version(self._project, version)
        return Held(loaded, label_names(loaded.schema))

    def _forget(self) -> None:
        """Drop all but the last few versions of each model from memory."""
        seen: dict[str, int] = {}
        for version_id, held in reversed(list(self._cache.items())):
            count = seen[held.loaded.model] = seen.get(held.loaded.model, 0) + 1
            if count > _KEPT:
                del self._cache[version_id]

    def _report(self, model: str, problem: str) -> None:
        if self._problems.get(model) == problem:
            return
        log.error("model %s cannot be served: %s", model, problem)
        old = self._serving.get(model)
        answers = f"v{old.loaded.version} goes on answering" if old else "nothing answers"
        try:
            alerting.raise_alert(
                self._project,
                key=f"serving:{model}",
                kind="serving",
                severity="critical",
                model=model,
                summary=f"the champion of {model} cannot be served, {answers}: {problem}",
                details={},
            )
        except MlkitError:  # serving goes on without the alert; /readyz tells of it
            log.exception("the alert about model %s was not recorded", model)

    def _settle(self, model: str, number: int) -> None:
        try:
            alerting.resolve(self._project, f"serving:{model}", f"v{number} is served")
        except MlkitError:  # serving goes on; a person can acknowledge the alert
            log.exception("the alert about model %s was not resolved", model)


def label_names(schema: InputSchema) -> tuple[str, ...]:
    """Return the classes as JSON keys: text as it is, anything else as JSON writes it."""
    return tuple(
        label if isinstance(label, str) else msgspec.json.encode(label).decode()
        for label in schema.classes
    )
