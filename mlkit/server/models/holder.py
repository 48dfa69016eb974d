"""The champions that this process serves: each is loaded and checked, then replaces the old one."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime

from mlkit.errors import BusyError, MlkitError, NotFoundError, unknown
from mlkit.flows.alerts import alerting
from mlkit.flows.features.online import Online
from mlkit.project import Project
from mlkit.server.models.held import Held
from mlkit.server.models.loading import load_into
from mlkit.server.periodic_thread import unexpected
from mlkit.store import audit, deployments, erasures
from mlkit.store.registry import ModelVersion

_RETRY_S = 30.0  # a version that failed to load is tried again after this time
_UNRECORDED = "its promotion is not in the audit trail (see: mlkit audit verify)"
_KEPT = 2  # versions per model in memory: the champion and its predecessor, for a rollback

Sees = Callable[[str], bool]

log = logging.getLogger("mlkit.server")


def _any(_model: str) -> bool:
    return True


class Holder:
    """Keep the champion of each model loaded; ``refresh`` is called by one thread only."""

    def __init__(self, project: Project, online: Online | None = None) -> None:
        self._project = project
        self._online = online or Online(project)
        self._settings = project.settings.server
        self._budget_bytes = self._settings.memory_mb * 1_000_000
        self._lazy = self._settings.lazy or self._budget_bytes > 0
        self._retry_at = float("inf")
        self._loading = threading.RLock()  # one load at a time, over all threads
        self._pending: dict[int, Future[Held]] = {}
        self._cache: dict[int, Held] = {}
        self._champions: Mapping[str, ModelVersion] = {}
        self._serving: Mapping[str, Held] = {}
        self._problems: Mapping[str, str] = {}
        self._used: dict[str, float] = {}
        self._file = project.database.file_id
        self.generation = -1
        self._erased_at: datetime | None = None

    @property
    def champions(self) -> Mapping[str, ModelVersion]:
        """The champion of each model, loaded or not."""
        return self._champions

    @property
    def serving(self) -> Mapping[str, Held]:
        """The versions that are loaded and answer at present, by model name."""
        return self._serving

    @property
    def problems(self) -> Mapping[str, str]:
        """Why the champion of a model is not served, or fails, by model name."""
        failing = {name: held.trouble for name, held in self._serving.items() if held.trouble}
        return {**failing, **self._problems}

    def get(self, model: str, version: str | None = None, sees: Sees = _any) -> Held:
        """Return the version that serves ``model``, and load it first if it is not loaded.

        Raises NotFoundError for an unknown model, naming those for which ``sees`` is true, or if
        ``version`` is not the one that serves. Raises BusyError if the model has a champion but no
        version of it can be loaded.
        """
        held = self._serving.get(model)
        if held is None:
            held = self._load_on_demand(model, sees)
        if version is not None and version != str(held.loaded.version):
            raise NotFoundError(
                f"version {version[:20]} of '{model}' is not served; v{held.loaded.version} is"
            )
        self._used[model] = time.monotonic()
        return held

    def knows(self, model: str, sees: Sees = _any) -> bool:
        """Tell whether ``model`` answers; raises NotFoundError if it has no champion."""
        if model not in self._champions and model not in self._problems:
            raise self._unknown(model, sees)
        return model in self._serving or model not in self._problems

    def unnamed(self, sees: Sees = _any) -> MlkitError:
        """Return the error for a request that names no model where none is the default."""
        if self.generation < 0:
            return self._unknown("", sees)
        known = ", ".join(filter(sees, sorted(self._champions))) or "none yet"
        return NotFoundError(
            f"the request names no model; known: {known}; "
            "use /models/MODEL/invocations, or set server.default_model"
        )

    def default(self) -> str | None:
        """Return ``server.default_model``, or the only model, or None."""
        names = list(self._champions)
        return self._settings.default_model or (names[0] if len(names) == 1 else None)

    def refresh(self) -> None:
        """Load new champions since the last call; the old one answers if a load fails."""
        with self._project.read() as s:
            generation = deployments.generation(s)
            self._forget_other_file()
            erased_at = erasures.last_done(s)
            same = (generation, erased_at) == (self.generation, self._erased_at)
            if same and time.monotonic() < self._retry_at:
                return
            current, damaged = deployments.champions(s), deployments.damaged(s)
            unrecorded = frozenset(d.version.model.name for d in current if not audit.vouches(s, d))
            champions = {d.version.model.name: d.version for d in current}
        with self._loading:
            if erased_at != self._erased_at:
                self._cache.clear()  # trained on erased rows; they answer until replaced
            self._follow(champions, unrecorded, damaged)
        self.generation, self._erased_at = generation, erased_at
        self._retry_at = time.monotonic() + _RETRY_S if self._problems else float("inf")

    def _forget_other_file(self) -> None:
        """Clear the cache when the database is another file: its ids mean other versions."""
        found = self._project.database.file_id
        if found != self._file:
            with self._loading:
                self._file, self.generation = found, -1
                self._cache.clear()
                self._pending.clear()

    def _follow(
        self,
        champions: Mapping[str, ModelVersion],
        unrecorded: frozenset[str],
        damaged: Mapping[str, str],
    ) -> None:
        """Load the champions.

        The old version goes on answering where the promotion is not in the audit trail
        (``unrecorded``) or where the row is not what was recorded (``damaged``).
        """
        serving = {name: self._serving[name] for name in damaged if name in self._serving}
        problems = dict(damaged)
        for name in damaged:
            self._report(name, problems[name])
        known = {name: self._champions[name] for name in damaged if name in self._champions}
        for name, version in champions.items():
            if name in unrecorded:
                problems[name] = f"v{version.number}: {_UNRECORDED}"
                self._report(name, problems[name])
                serving |= {name: self._serving[name]} if name in self._serving else {}
                continue
            if self._lazy and name not in self._serving and name not in self._problems:
                continue
            held = self._load(version, problems)
            if held is not None:
                serving[name] = held
        self._champions, self._serving, self._problems = {**champions, **known}, serving, problems
        self._forget()

    def _unknown(self, model: str, sees: Sees) -> MlkitError:
        if self.generation < 0:
            return BusyError("which models there are could not be read from the database yet")
        known = list(filter(sees, sorted(self._champions)))
        return unknown("model", model[:100], known, "mlkit model list")

    def _load_on_demand(self, model: str, sees: Sees) -> Held:
        with self._loading:
            held = self._serving.get(model)
            version = self._champions.get(model)
            if held is not None:  # another thread has just loaded it
                return held
            if version is None and model not in self._problems:
                raise self._unknown(model, sees)
            problems = dict(self._problems)
            if version is not None and model not in problems:
                held = self._load(version, problems)
            if held is None:
                self._problems, self._retry_at = problems, time.monotonic() + _RETRY_S
                raise BusyError(f"model '{model}' is not ready: {problems[model]}")
            self._used[model] = time.monotonic()
            self._serving = {**self._serving, model: held}
            self._forget()
            return held

    def _load(self, version: ModelVersion, problems: dict[str, str]) -> Held | None:
        """Return the version, or the one that served before if it cannot be loaded."""
        name = version.model.name
        held = self._cache.pop(version.id, None)
        fresh = held is None
        try:
            held = held or self._hold(version)
        except Exception as error:  # noqa: BLE001  # loading runs the code of any library
            problems[name] = f"v{version.number}: {error}"
            self._report(name, problems[name])
            return self._serving.get(name)
        self._cache[version.id] = held  # reinserted: the cache is in the order of use (LRU)
        if fresh or name in self._problems:
            self._resolve_alert(name, version.number)
        return held

    def _hold(self, version: ModelVersion) -> Held:
        """Load a version in a thread of its own, so that one that hangs blocks no other."""
        future = self._pending.pop(version.id, None)
        if future is None:
            future = Future()
            arguments = (future, self._project, self._online, version)
            threading.Thread(target=load_into, args=arguments, daemon=True).start()
        try:
            return future.result(self._settings.load_s)
        except FutureTimeoutError as error:
            self._pending[version.id] = future  # waited for again later, never loaded twice
            raise BusyError(
                f"loading takes longer than {self._settings.load_s:g} s (server.load_s)"
            ) from error

    def _forget(self) -> None:
        """Evict old versions and, beyond the memory budget, the least recently used ones."""
        seen: dict[str, int] = {}
        for version_id, held in reversed(list(self._cache.items())):
            count = seen[held.loaded.model] = seen.get(held.loaded.model, 0) + 1
            if count > _KEPT:
                del self._cache[version_id]
        budget = self._budget_bytes
        while budget and sum(held.size_bytes for held in self._cache.values()) > budget:
            if not self._drop_one():
                return

    def _drop_one(self) -> bool:
        """Evict the least needed version; tell whether there was one to evict."""
        answering = {held.loaded.version_id for held in self._serving.values()}
        spare = [version_id for version_id in self._cache if version_id not in answering]
        if spare:
            del self._cache[spare[0]]
            return True
        if len(self._serving) < 2:
            return False
        oldest = min(self._serving, key=lambda name: self._used.get(name, 0.0))
        self._cache.pop(self._serving[oldest].loaded.version_id, None)
        self._serving = {name: held for name, held in self._serving.items() if name != oldest}
        return True

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
        except Exception as error:  # noqa: BLE001  # serving goes on; /readyz reports it
            _log_alert_error("recorded", model, error)

    def _resolve_alert(self, model: str, number: int) -> None:
        try:
            alerting.resolve(self._project, f"serving:{model}", f"v{number} is served")
        except Exception as error:  # noqa: BLE001  # a person can acknowledge the alert
            _log_alert_error("resolved", model, error)


def _log_alert_error(what: str, model: str, error: Exception) -> None:
    text = "the alert about model %s was not %s: %s"
    log.error(text, model, what, error, exc_info=unexpected(error))
