"""The Flask application: its routes call the service and return its reply."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import BaseConverter

from mlkit.project import Project
from mlkit.server import model_metadata, problems, request_log
from mlkit.server.problems import RefusedError, Reply
from mlkit.server.request_log import WHY, Requested, unrouted
from mlkit.server.service import Service

SERVICE = "mlkit"  # key of the Service in app.extensions


def create_app(project: Project, metrics_dir: Path | None = None) -> Flask:
    """Return the application with the present champions loaded; no thread is started.

    ``app.extensions["mlkit"].start()`` starts them; without threads call its ``refresh``.
    """
    service = Service(project, metrics_dir)
    service.refresh()
    app = Flask("mlkit.server", static_folder=None, template_folder=None)
    app.extensions[SERVICE] = service
    app.register_error_handler(HTTPException, _http_problem)
    app.url_map.converters["default"] = _Name
    app.url_map.merge_slashes = False  # no redirects: they would echo any Host header
    app.before_request(_refuse_odd_paths)
    _add_routes(app, service)
    return app


class _Name(BaseConverter):
    """A name in a path. Names have no colon, which separates KServe's ``:predict``."""

    regex = "[^/:]+"


ROUTES: Sequence[tuple[str, str, Callable[..., Reply]]] = (
    ("POST", "/actuals", Service.actuals),
    ("GET", "/livez", Service.live),
    ("GET", "/readyz", Service.ready),
    ("GET", "/ping", Service.ready),
    ("GET", "/health", Service.ready),
    ("GET", "/version", Service.version),
    ("GET", "/v1/models/<model>", model_metadata.kserve_model),
    ("GET", "/v2", model_metadata.v2_server),
    ("GET", "/v2/health/live", model_metadata.v2_live),
    ("GET", "/v2/health/ready", model_metadata.v2_ready),
    ("GET", "/v2/models/<model>", model_metadata.v2_model),
    ("GET", "/v2/models/<model>/versions/<version>", model_metadata.v2_model),
    ("GET", "/v2/models/<model>/ready", model_metadata.v2_model_ready),
    ("GET", "/v2/models/<model>/versions/<version>/ready", model_metadata.v2_model_ready),
    ("GET", "/openapi.json", Service.openapi),
    ("GET", "/metrics", Service.metrics),
    ("GET", "/", Service.page),
)


def _add_routes(app: Flask, service: Service) -> None:
    table: list[tuple[str, str, Callable[..., Reply]]] = [*ROUTES]
    table += [("POST", rule, Service.predict) for rule in service.routes.rules]
    health = service.platform.health
    if health and health not in {rule for method, rule, _ in table if method == "GET"}:
        table.append(("GET", health, Service.ready))
    for method, rule, act in table:
        app.add_url_rule(
            rule,
            f"{method} {rule}",
            _view(service, rule, act),
            methods=[method],
            provide_automatic_options=False,
        )


def _view(service: Service, rule: str, act: Callable[..., Reply]) -> Callable[..., Response]:
    """Return the view; prediction routes are counted in ``Service.score``, not here."""

    def counted(**parts: str) -> Reply:
        started = time.perf_counter()
        service.meter.begin()
        environ = request.environ
        reply = act(service, environ, **parts)
        service.meter.end()
        seconds, status = time.perf_counter() - started, int(reply.status[:3])
        service.meter.answered(rule, "", status, seconds, 0)
        model = parts.get("model", "")
        requested = Requested(rule, model if model in service.holder.champions else "")
        service.request_log.answered(environ, requested, status, seconds, environ.get(WHY, ""))
        return reply

    def view(**parts: str) -> Response:
        if rule in service.routes.rules:
            reply = act(service, request.environ, **parts)
        else:
            reply = counted(**parts)
        return Response(reply.body, status=reply.status, headers=reply.headers)

    return view


def _http_problem(error: Any) -> Response:
    """Answer what Flask itself refuses (unknown path, wrong method) in our error format."""
    service: Service = current_app.extensions[SERVICE]
    valid = getattr(error, "valid_methods", None)
    headers = [("Allow", ", ".join(valid))] if valid else []
    text = {404: f"nothing here: {request.path[:200]}"}.get(error.code, error.description)
    found = RefusedError(error.code, text, headers)
    try:
        service.access.check_host(request.environ)
    except RefusedError as refused:
        found = refused
    service.meter.answered("(none)", "", found.status, 0.0, 0)
    requested = Requested(unrouted(request.environ["PATH_INFO"]))
    why = request_log.why(problems.fault(found))
    service.request_log.answered(request.environ, requested, found.status, 0.0, why)
    reply = problems.problem(found)
    return Response(reply.body, status=reply.status, headers=reply.headers)


def _refuse_odd_paths() -> None:
    """Refuse a path that begins with no slash or with two: Flask would normalise it.

    Flask would answer it, or redirect to the host of the Host header, and thus bypass the path
    rules of a proxy in front.
    """
    path = request.environ["PATH_INFO"]
    if not path.startswith("/") or path.startswith("//"):
        raise NotFound
