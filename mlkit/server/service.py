"""One worker's parts put together, and the answer to each route as one function of the request."""

import html
import threading
from collections.abc import Callable
from datetime import datetime

import msgspec

from mlkit import __version__
from mlkit.errors import MlkitError
from mlkit.flows import actuals
from mlkit.project import Project
from mlkit.server import problems, wire
from mlkit.server.access import Guard
from mlkit.server.holder import Holder
from mlkit.server.problems import RefusedError, Reply
from mlkit.server.recorder import Recorder
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


_actuals_decoder = msgspec.json.Decoder(ActualsRequest)


class Service:
    """Answer every route; ``start`` adds the threads that a server process needs."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.holder = Holder(project)
        self.guard = Guard(project)
        self.recorder = Recorder(project)
        self.scorer = Scorer(project, self.holder, self.recorder)
        self._since = project.now()
        self._database_trouble = ""
        self._stop = threading.Event()

    def start(self) -> None:
        """Follow promotions, tokens and the journal from now on."""
        threading.Thread(target=self._follow, name="mlkit-follow", daemon=True).start()
        threading.Thread(target=self.recorder.run, name="mlkit-journal", daemon=True).start()

    def stop(self) -> None:
        """End the threads and bring what is in the journal into the database."""
        self._stop.set()
        self.recorder.stop()
        self.recorder.flush()

    def refresh(self) -> None:
        """Look once for promotions, rollbacks and tokens."""
        try:
            self.guard.refresh()
            self.holder.refresh()
            self._database_trouble = ""
        except MlkitError as error:  # what is loaded goes on answering; /readyz tells of it
            self._database_trouble = str(error)

    def predict(self, environ: Environ, model: str) -> Reply:
        """Answer ``POST /predict/<model>``."""
        return self._answer(
            environ, "predict", lambda: self.scorer.predict(model, self._body(environ))
        )

    def actuals(self, environ: Environ) -> Reply:
        """Answer ``POST /actuals``."""
        return self._answer(environ, "predict", lambda: self._add_actuals(environ))

    def live(self) -> Reply:
        """Answer ``GET /livez``: this process works; nothing else is asked."""
        return problems.reply(b'{"status":"ok"}')

    def ready(self) -> Reply:
        """Answer ``GET /readyz``: 503 while a champion has no version that answers."""
        trouble = dict(self.holder.problems)
        if self._database_trouble:
            trouble["database"] = self._database_trouble
        serving = {name: held.loaded.version for name, held in self.holder.serving.items()}
        silent = not serving or set(self.holder.problems) - set(serving)
        if not serving and not trouble:
            trouble["models"] = "no model has a champion (see: mlkit model promote)"
        status = "not ready" if silent else "degraded" if trouble else "ready"
        document = Readiness(status=status, models=serving, problems=trouble, since=self._since)
        return problems.reply(msgspec.json.encode(document), status=503 if silent else 200)

    def page(self, environ: Environ) -> Reply:
        """Answer ``GET /``: what is served here, for a person with a browser."""
        return self._answer(environ, "read", self._page, kind="text/html; charset=utf-8")

    def _answer(
        self, environ: Environ, scope: str, act: Callable[[], bytes], *, kind: str = problems.JSON
    ) -> Reply:
        try:
            self.guard.check(environ, scope)
            return problems.reply(act(), kind=kind)
        except Exception as error:  # noqa: BLE001  # the boundary: every error becomes an answer
            return problems.problem(error)

    def _body(self, environ: Environ) -> bytes:
        return wire.read_body(environ, max_bytes=self.project.settings.server.max_body_bytes)

    def _add_actuals(self, environ: Environ) -> bytes:
        items = wire.decode(_actuals_decoder, self._body(environ)).items
        limit = self.project.settings.server.max_rows
        if len(items) > limit:
            raise RefusedError(413, f"{len(items)} items are more than {limit} (server.max_rows)")
        return msgspec.json.encode(actuals.add(self.project, items))

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
            "<p>Also here: POST /actuals, GET /livez, GET /readyz.</p></html>"
        )
        return text.encode()

    def _follow(self) -> None:
        while not self._stop.wait(self.project.settings.server.reload_s):
            self.refresh()
