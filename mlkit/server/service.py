"""One worker's parts put together, and the answer to each route as one function of the request."""

import html
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec

from mlkit import __version__
from mlkit.errors import InvalidInputError, MlkitError
from mlkit.flows import actuals, request_features
from mlkit.flows.online import Online
from mlkit.project import Project
from mlkit.server import openapi, platforms, problems, wire
from mlkit.server.access import Guard
from mlkit.server.families import Served
from mlkit.server.feature_state import Troubles
from mlkit.server.holder import Holder
from mlkit.server.meter import Meter
from mlkit.server.metrics import KIND, Metrics
from mlkit.server.problems import RefusedError, Reply
from mlkit.server.protocols import kserve, v2, v2_metadata, v2_outputs
from mlkit.server.query import Message
from mlkit.server.recorder import Recorder
from mlkit.server.routes import PREDICTIONS, Routes, Target, Wire
from mlkit.server.rule_guard import RuleGuard
from mlkit.server.scoring import Scorer
from mlkit.server.wire import Environ


class ActualsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /actuals``."""

    items: list[actuals.ActualItem]


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The body of ``GET /readyz``."""

    status: str
    models: dict[str, int]
    problems: dict[str, str]
    since: datetime


_encode = msgspec.json.encode
_actuals_decoder = msgspec.json.Decoder(ActualsRequest)


class Service:
    """Answer every route; ``start`` adds the threads that a server process needs."""

    def __init__(self, project: Project, metrics_dir: Path | None = None) -> None:
        self.project = project
        self.online = Online(project)
        self.holder = Holder(project, self.online)
        self.guard = Guard(project)
        self.meter = Meter(metrics_dir or project.state_dir / "metrics" / "0")
        self._metrics = Metrics(project, self.meter)
        self.recorder = Recorder(project, self.meter)
        look = RuleGuard(project, self.meter).look
        self.scorer = Scorer(project, self.recorder, self.meter, look)
        self.platform = platforms.detect(os.environ)
        own = self.platform.predict
        self.routes = Routes({own: kserve} if own and own not in PREDICTIONS else {})
        self._max_rows = project.settings.server.max_rows
        self._max_bytes = project.settings.server.max_body_bytes
        self._since = project.now()
        self._database_trouble = ""
        self._troubles = Troubles(project)
        self._stop = threading.Event()

    def start(self) -> None:
        """Follow promotions and tokens, and hand on the journal, from now on.

        Tokens have a thread of their own: a model that takes long to load must not keep a revoked
        one alive.
        """
        for name, run in (
            ("mlkit-tokens", lambda: self._follow(self.guard.refresh)),
            ("mlkit-models", lambda: self._follow(self.holder.refresh)),
            ("mlkit-journal", self.recorder.run),
        ):
            threading.Thread(target=run, name=name, daemon=True).start()

    def stop(self) -> None:
        """End the threads; what is in the journal is ready to be imported."""
        self._stop.set()
        self.recorder.stop()
        self.online.close()

    def refresh(self) -> None:
        """Look once for promotions, rollbacks and tokens."""
        self._look(self.guard.refresh)
        self._look(self.holder.refresh)

    def score(self, environ: Environ, target: Target) -> Reply:
        """Answer a request for predictions."""
        started = time.perf_counter_ns()
        wire_, name, rows = target.wire, "", 0
        self.meter.begin()
        try:
            model = target.model or self.holder.default()
            self.guard.check(environ, "predict", model=model)
            held = self.holder.get(model or self.holder.only(), target.version)
            name = held.loaded.model
            body = wire.read_body(environ, max_bytes=self._max_bytes, kinds=wire_.KINDS)
            kind = wire.media_type(environ)
            message = Message(body, kind, environ, self._max_rows, held.has_probabilities)
            query = wire.uncollected(len(body), partial(wire_.decode, held.reader, message))
            reply = wire_.reply(self.scorer.answer(held, query, started), query)
            rows = len(query.rows)
        except Exception as error:  # noqa: BLE001  # the boundary: every error becomes an answer
            fault = problems.fault(error)
            if name and isinstance(error, InvalidInputError):
                self.meter.invalid(name)
            reply = wire_.refuse(fault)
        self.meter.end()
        seconds = (time.perf_counter_ns() - started) * 1e-9
        self.meter.answered(target.rule, name, int(reply.status[:3]), seconds, rows)
        return reply

    def predict(self, environ: Environ, **_parts: str) -> Reply:
        """Answer a request for predictions that came by way of Flask."""
        target = self.routes.find(environ["PATH_INFO"])
        assert target is not None  # noqa: S101  # Flask's rules are made of the same texts
        return self.score(environ, target)

    def actuals(self, environ: Environ) -> Reply:
        """Answer ``POST /actuals``."""
        return self._answer(environ, "predict", lambda: self._add_actuals(environ))

    def live(self, environ: Environ) -> Reply:  # noqa: ARG002  # every route's signature
        """Answer ``GET /livez``: this process works; nothing else is asked."""
        return problems.reply(b'{"status":"ok"}')

    def ready(self, environ: Environ) -> Reply:  # noqa: ARG002  # every route's signature
        """Answer ``GET /readyz``: 503 while a champion has no version that answers."""
        trouble = {**self._troubles.now(), **self.holder.problems}
        if self._database_trouble:
            trouble["database"] = self._database_trouble
        answering = {name: version.number for name, version in self.holder.champions.items()}
        answering |= {name: held.loaded.version for name, held in self.holder.serving.items()}
        silent = set(self.holder.problems) - set(self.holder.serving)
        if not answering and not trouble:
            trouble["models"] = "no model has a champion (see: mlkit model promote)"
        ready = bool(answering) and not silent
        status = "not ready" if not ready else "degraded" if trouble else "ready"
        models = {name: number for name, number in answering.items() if name not in silent}
        document = Readiness(status=status, models=models, problems=trouble, since=self._since)
        return problems.reply(msgspec.json.encode(document), status=200 if ready else 503)

    def version(self, environ: Environ) -> Reply:
        """Answer ``GET /version``, as MLflow's server does."""
        kind = "text/plain; charset=utf-8"
        return self._answer(environ, "read", __version__.encode, kind=kind)

    def openapi(self, environ: Environ) -> Reply:
        """Answer ``GET /openapi.json``: what is served here, for programs."""
        return self._answer(environ, "read", self._openapi)

    def kserve_model(self, environ: Environ, model: str) -> Reply:
        """Answer ``GET /v1/models/<model>``."""
        return self._tell(
            environ, kserve, model, lambda: kserve.status(model, ready=self.holder.knows(model))
        )

    def v2_live(self, environ: Environ) -> Reply:  # noqa: ARG002  # every route's signature
        """Answer ``GET /v2/health/live``."""
        return _json({"live": True})

    def v2_ready(self, environ: Environ) -> Reply:
        """Answer ``GET /v2/health/ready``."""
        found = self.ready(environ).status
        ready = found.startswith("200")
        return problems.reply(_encode({"ready": ready}), status=int(found[:3]))

    def v2_server(self, environ: Environ) -> Reply:
        """Answer ``GET /v2``."""
        return self._tell(environ, v2, None, lambda: _json(v2_metadata.server(__version__)))

    def v2_model(self, environ: Environ, model: str, version: str | None = None) -> Reply:
        """Answer ``GET /v2/models/<model>``, with or without its version."""

        def describe() -> Reply:
            held = self.holder.get(model, version)
            outputs = v2_outputs.names(held.schema, probabilities=held.has_probabilities)
            return _json(v2_metadata.model(model, [held.loaded.version], held.schema, outputs))

        return self._tell(environ, v2, model, describe)

    def v2_model_ready(self, environ: Environ, model: str, version: str | None = None) -> Reply:
        """Answer ``GET /v2/models/<model>/ready``, with or without its version."""

        def describe() -> Reply:
            self.holder.get(model, version)
            return _json({"name": model, "ready": True})

        return self._tell(environ, v2, model, describe)

    def metrics(self, environ: Environ) -> Reply:
        """Answer ``GET /metrics``."""
        return self._answer(environ, "read", self._render_metrics, kind=KIND)

    def page(self, environ: Environ) -> Reply:
        """Answer ``GET /``: what is served here, for a person with a browser."""
        return self._answer(environ, "read", self._page, kind="text/html; charset=utf-8")

    def _tell(
        self, environ: Environ, wire_: Wire, model: str | None, act: Callable[[], Reply]
    ) -> Reply:
        """Answer what a protocol asks about a model besides predictions."""
        try:
            self.guard.check(environ, "predict", "read", model=model)
            return act()
        except Exception as error:  # noqa: BLE001  # the boundary: every error becomes an answer
            return wire_.refuse(problems.fault(error))

    def _answer(
        self, environ: Environ, scope: str, act: Callable[[], bytes], *, kind: str = problems.JSON
    ) -> Reply:
        try:
            self.guard.check(environ, scope)
            return problems.reply(act(), kind=kind)
        except Exception as error:  # noqa: BLE001  # the boundary: every error becomes an answer
            return problems.problem(error)

    def _body(self, environ: Environ) -> bytes:
        return wire.read_body(environ, max_bytes=self._max_bytes)

    def _add_actuals(self, environ: Environ) -> bytes:
        body = self._body(environ)
        read = partial(wire.decode, _actuals_decoder, body)
        items = wire.uncollected(len(body), read).items
        limit = self.project.settings.server.max_rows
        if len(items) > limit:
            raise RefusedError(413, f"{len(items)} items are more than {limit} (server.max_rows)")
        return msgspec.json.encode(actuals.add(self.project, items))

    def _openapi(self) -> bytes:
        champions = self.holder.champions
        plans = {name: request_features.wanted(self.project, v) for name, v in champions.items()}
        described = [
            openapi.describe(champions[name], plan[1] if plan else None)
            for name, plan in sorted(plans.items())
        ]
        document = openapi.document(
            described,
            max_rows=self._max_rows,
            max_body_bytes=self._max_bytes,
            version=__version__,
            default=self.holder.default(),
        )
        return msgspec.json.encode(document)

    def _render_metrics(self) -> bytes:
        served = [
            Served(
                held.loaded.model,
                held.loaded.version,
                held.sha256,
                "compiled" if held.loaded.predictor.compiled else "estimator",
                held.load_s,
            )
            for held in self.holder.serving.values()
        ]
        return self._metrics.render(served, self.holder.generation)

    def _page(self) -> bytes:
        rows = "".join(
            f"<li>{html.escape(name)}, version {held.loaded.version}: "
            f"POST /predict/{html.escape(name)}</li>"
            for name, held in sorted(self.holder.serving.items())
        )
        text = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>mlkit</title>'
            f"<h1>mlkit {html.escape(__version__)}</h1>"
            f"<ul>{rows or '<li>no model has a champion yet</li>'}</ul>"
            '<p>Also here: POST /actuals, <a href="/readyz">/readyz</a>, '
            '<a href="/metrics">/metrics</a>, <a href="/openapi.json">/openapi.json</a>.</p></html>'
        )
        return text.encode()

    def _follow(self, refresh: Callable[[], None]) -> None:
        while not self._stop.wait(self.project.settings.server.reload_s):
            self._look(refresh)

    def _look(self, refresh: Callable[[], None]) -> None:
        try:
            refresh()
            self._database_trouble = ""
        except MlkitError as error:  # what is loaded goes on answering; /readyz tells of it
            self._database_trouble = str(error)


def _json(document: object) -> Reply:
    return problems.reply(_encode(document))
