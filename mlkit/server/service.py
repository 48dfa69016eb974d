"""All components of one worker, and the response to each route as a function of the request."""

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from mlkit import __version__
from mlkit.errors import InvalidInputError
from mlkit.flows.features.online import Online
from mlkit.flows.log import actuals
from mlkit.project import Project
from mlkit.server import (
    fingerprint,
    missing_workers,
    page,
    platforms,
    problems,
    readiness,
    request_log,
    wire,
)
from mlkit.server.access import AccessControl
from mlkit.server.concurrency import ACTUALS, ConcurrencyLimits
from mlkit.server.feature_state import Troubles
from mlkit.server.metrics.meter import Meter
from mlkit.server.metrics.page import KIND, Metrics
from mlkit.server.models.held import Held
from mlkit.server.models.holder import Holder
from mlkit.server.models.rule_guard import RuleGuard
from mlkit.server.openapi import served
from mlkit.server.periodic_thread import PeriodicThread
from mlkit.server.problems import RefusedError, Reply
from mlkit.server.protocols import kserve, native
from mlkit.server.query import Message
from mlkit.server.readiness import Life
from mlkit.server.recorder import Recorder
from mlkit.server.request_log import TOKEN, WHY, Requested, RequestLog
from mlkit.server.rights import Rights
from mlkit.server.routes import PREDICTIONS, Routes, Target, Wire
from mlkit.server.scoring import Scorer
from mlkit.server.wire import Environ
from mlkit.store.disk import heartbeat

_NOTE_USE_S = 60.0
_LATE_S = 30.0

log = logging.getLogger("mlkit.server")
_actuals_decoder = msgspec.json.Decoder(actuals.Actuals)


class Service:
    """Answer every route; ``start`` adds the threads that a server process needs."""

    def __init__(self, project: Project, metrics_dir: Path | None = None) -> None:
        self.project = project
        self.online = Online(project)
        self.holder = Holder(project, self.online)
        self.access = AccessControl(project)
        self.meter = Meter(metrics_dir or project.state_dir / "metrics" / "0")
        self._metrics = Metrics(project, self.meter)
        self.recorder = Recorder(project, self.meter)
        check = RuleGuard(project, self.meter).check
        self.scorer = Scorer(project, self.recorder, self.meter, check)
        self.platform = platforms.detect(os.environ)
        own = self.platform.predict
        self.routes = Routes({own: kserve} if own and own not in PREDICTIONS else {})
        self._max_rows = project.settings.server.max_rows
        self._max_bytes = project.settings.server.max_body_bytes
        self._since = project.now()
        settings = project.settings.server
        self._limits = ConcurrencyLimits(settings.threads)
        self._tokens = PeriodicThread("mlkit-tokens", self.access.refresh, settings.reload_s)
        self._models = PeriodicThread("mlkit-models", self.holder.refresh, settings.reload_s)
        self._threads = [
            self._tokens,
            self._models,
            PeriodicThread("mlkit-uses", self.access.note_use, _NOTE_USE_S),
            PeriodicThread("mlkit-journal", self.recorder.hand_on, project.settings.log.import_s),
        ]
        self._troubles = Troubles(project)
        self.request_log = RequestLog(project.settings.server)
        self._running = False
        self._stop = threading.Event()

    def start(self, *others: PeriodicThread) -> None:
        """Start the threads that follow promotions and tokens and hand on the journal.

        Tokens have a thread of their own: neither a model that takes long to load nor recording
        the use of tokens, which waits for the write lock, may delay a revocation.
        """
        self._tokens.call()  # once more: loading may have taken longer than tokens_max_age_s
        self.access.expire()
        self._running = True
        self._threads = [*self._threads, *others]
        for thread in self._threads:
            thread.start(self._stop)

    def stop(self) -> None:
        """End the threads; the journal is then ready for import."""
        self._stop.set()
        self.recorder.stop()
        self.request_log.flush()
        self.online.close()

    def refresh(self) -> None:
        """Read promotions, rollbacks and tokens once."""
        self._tokens.call()
        self._models.call()

    def score(self, environ: Environ, target: Target) -> Reply:
        """Answer a request for predictions."""
        started = time.perf_counter_ns()
        wire_, held, rows, why = target.wire, None, 0, ""
        self.meter.begin()
        try:
            model = target.model or self.holder.default()
            rights = self.access.check(environ, "predict", model=model)
            if model is None:
                raise self.holder.unnamed(rights.sees)
            held = self._held(model, target.version, rights)
            body = wire.read_body(environ, max_bytes=self._max_bytes, kinds=wire_.KINDS)
            kind = wire.media_type(environ)
            message = Message(body, kind, environ, self._max_rows, held.has_probabilities)
            query = wire.without_gc(len(body), partial(wire_.decode, held.reader, message))
            if query.request_id is not None:
                digest = fingerprint.of(target, message)
                query = query._replace(owner=rights.owner, digest=digest)
            with self._limits.slot(model):
                answers = self.scorer.answer(held, query, started)
            reply = wire_.reply(answers, query)
            rows = len(query.rows)
        except BaseException as error:  # noqa: BLE001  # the boundary: a user's code may exit too
            fault = problems.fault(error)
            if held is not None and isinstance(error, InvalidInputError):
                self.meter.invalid(held.loaded.model)
            why = request_log.why(fault, held.reader.names if held else ())
            reply = wire_.refuse(fault)
        self.meter.end()
        seconds = (time.perf_counter_ns() - started) * 1e-9
        name, status = held.loaded.model if held else "", int(reply.status[:3])
        self.meter.answered(target.rule, name, status, seconds, rows)
        self.request_log.answered(environ, Requested(target.rule, name), status, seconds, why)
        return reply

    def predict(self, environ: Environ, **_parts: str) -> Reply:
        """Answer a request for predictions that Flask routed."""
        target = self.routes.find(environ["PATH_INFO"])
        if target is None:  # Flask accepts some paths that we do not
            return problems.problem(RefusedError(404, "nothing here"))
        return self.score(environ, target)

    def _held(self, model: str, version: str | None, rights: Rights) -> Held:
        if model in self.holder.serving:
            return self.holder.get(model, version, rights.sees)
        with self._limits.slot(model):  # loading may take long
            return self.holder.get(model, version, rights.sees)

    def actuals(self, environ: Environ) -> Reply:
        """Answer ``POST /actuals``."""
        return self._answer(environ, "predict", lambda rights: self._add_actuals(environ, rights))

    def live(self, environ: Environ) -> Reply:
        """Answer ``GET /livez``: this process responds; nothing else is checked."""
        return self.health(environ, lambda _rights: problems.json_reply(Life("ok")))

    def ready(self, environ: Environ) -> Reply:
        """Answer ``GET /readyz``: 503 while a champion does not answer.

        Models and problems are shown only to tokens that may read them.
        """
        return self.health(environ, self.readiness)

    def readiness(self, rights: Rights) -> Reply:
        """Return whether every champion answers, and the problems that ``rights`` may see."""
        closed = {"tokens": self.access.stale, "log": self.recorder.refusing()}
        crowded = {name: self._limits.full(name) for name in self.holder.champions}
        crowded = {name: text for name, text in crowded.items() if text}
        if len(crowded) == len(self.holder.champions):
            closed |= crowded
        found = readiness.judge(
            self.holder,
            self._since,
            closed={name: text for name, text in closed.items() if text},
            troubles={**self._troubles.now(), **self._own_troubles(), **crowded},
        )
        shown = found.to(rights, {**crowded, **self.holder.problems})
        return problems.json_reply(shown, status=found.http_status)

    def _own_troubles(self) -> dict[str, str]:
        """Return the problems of this server's threads and processes."""
        found = {"database": self._tokens.trouble or self._models.trouble}
        found |= {"limits": self.access.trouble, "metrics": self.meter.slot.trouble}
        found["workers"] = missing_workers.describe()
        for each in self._threads:
            if self._running and each.late_s > _LATE_S + self.project.settings.server.load_s:
                found[each.name] = f"this thread has been at one step for {each.late_s:.0f} s"
        age_s = heartbeat.age_s(self.meter.folder / heartbeat.FILE) if self._running else 0.0
        if age_s is None or age_s > heartbeat.TIMEOUT_S:
            ago = "yet" if age_s is None else f"for {age_s:.0f} s"
            found["mlkit-log"] = (
                f"the process that imports predictions has sent no heartbeat {ago}; they stay in "
                "the journal"
            )
        return {name: text for name, text in found.items() if text}

    def version(self, environ: Environ) -> Reply:
        """Answer ``GET /version``, as MLflow's server does."""
        kind = "text/plain; charset=utf-8"
        return self._answer(environ, "read", lambda _rights: __version__.encode(), kind=kind)

    def openapi(self, environ: Environ) -> Reply:
        """Answer ``GET /openapi.json``."""
        return self._answer(environ, "read", self._openapi)

    def metrics(self, environ: Environ) -> Reply:
        """Answer ``GET /metrics``."""
        return self._answer(environ, "read", self._render_metrics, kind=KIND)

    def page(self, environ: Environ) -> Reply:
        """Answer ``GET /``: the page for a browser."""
        return self._answer(environ, "read", self._page, kind="text/html; charset=utf-8")

    def describe(
        self, environ: Environ, wire_: Wire, model: str | None, act: Callable[[Rights], Reply]
    ) -> Reply:
        """Answer a protocol's request for metadata."""
        try:
            rights = self.access.check(environ, "predict", "read", model=model)
            with self._limits.slot(model or ""):
                return act(rights)
        except Exception as error:  # noqa: BLE001  # the boundary: every error becomes an answer
            return _refusal(environ, error, wire_)

    def health(
        self, environ: Environ, act: Callable[[Rights], Reply], wire_: Wire = native
    ) -> Reply:
        """Answer a health check, which needs no token."""
        try:
            return act(self.access.identify(environ))
        except Exception as error:  # noqa: BLE001  # the boundary: every error becomes an answer
            return _refusal(environ, error, wire_)

    def _answer(
        self,
        environ: Environ,
        scope: str,
        act: Callable[[Rights], bytes],
        *,
        kind: str = problems.JSON,
    ) -> Reply:
        try:
            return problems.reply(act(self.access.check(environ, scope)), kind=kind)
        except Exception as error:  # noqa: BLE001  # the boundary: every error becomes an answer
            return _refusal(environ, error, native)

    def _body(self, environ: Environ) -> bytes:
        return wire.read_body(environ, max_bytes=self._max_bytes)

    def _add_actuals(self, environ: Environ, rights: Rights) -> bytes:
        body = self._body(environ)
        read = partial(wire.decode, _actuals_decoder, body)
        sent = wire.without_gc(len(body), read)
        items = sent.items
        limit = self.project.settings.server.max_rows
        if len(items) > limit:
            raise RefusedError(413, f"{len(items)} items are more than {limit} (server.max_rows)")
        if sent.correct:
            items = [msgspec.structs.replace(item, correct=True) for item in items]
        token = environ.get(TOKEN)
        actor = f"token {token}" if token else None
        with self._limits.slot(ACTUALS):
            received = actuals.add(self.project, items, models=rights.models, actor=actor)
        return msgspec.json.encode(received)

    def _openapi(self, rights: Rights) -> bytes:
        champions = {n: v for n, v in self.holder.champions.items() if rights.sees(n)}
        return served.document(self.project, champions, self.holder.default())

    def _render_metrics(self, rights: Rights) -> bytes:
        serving = self.holder.serving
        served = [serving[name].served for name in serving if rights.sees(name)]
        return self._metrics.render(served, self.holder.generation, rights)

    def _page(self, rights: Rights) -> bytes:
        serving = self.holder.serving
        return page.render({n: serving[n].loaded.version for n in serving if rights.sees(n)})


def _refusal(environ: Environ, error: Exception, wire_: Wire) -> Reply:
    """Return the response to an error, and pass its reason to the request log."""
    fault = problems.fault(error)
    environ[WHY] = request_log.why(fault)
    return wire_.refuse(fault)
