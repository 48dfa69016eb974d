"""The Flask application: routes that hand the request to the service and the reply back."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from mlkit.project import Project
from mlkit.server import problems, routes
from mlkit.server.problems import RefusedError, Reply
from mlkit.server.service import Service

SERVICE = "mlkit"  # where the application keeps it: app.extensions[SERVICE]


def create_app(project: Project) -> Flask:
    """Return the application with the present champions loaded; no thread is started.

    Take ``app.extensions["mlkit"].start()`` for that, or call its ``refresh`` by hand.
    """
    service = Service(project)
    service.refresh()
    app = Flask("mlkit.server", static_folder=None, template_folder=None)
    app.extensions[SERVICE] = service
    app.register_error_handler(HTTPException, _http_problem)
    app.url_map.converters["default"] = _Name
    _add_routes(app, service)
    return app


class _Name(BaseConverter):
    """A name in a path; no name has a colon."""

    regex = "[^/:]+"


def _add_routes(app: Flask, service: Service) -> None:
    for rule in routes.PREDICTIONS:
        app.add_url_rule(rule, rule, _predictions(service), methods=["POST"])

    @app.post("/actuals")
    def actuals() -> Response:
        return _response(service.actuals(request.environ))

    @app.get("/livez")
    def livez() -> Response:
        return _response(service.live())

    @app.get("/readyz")
    def readyz() -> Response:
        return _response(service.ready())

    @app.get("/ping")
    def ping() -> Response:
        return _response(service.ready())

    @app.get("/health")
    def health() -> Response:
        return _response(service.ready())

    @app.get("/version")
    def version() -> Response:
        return _response(service.version(request.environ))

    @app.get("/v1/models/<model>")
    def kserve_model(model: str) -> Response:
        return _response(service.kserve_model(request.environ, model))

    @app.get("/openapi.json")
    def openapi() -> Response:
        return _response(service.openapi(request.environ))

    @app.get("/")
    def page() -> Response:
        return _response(service.page(request.environ))


def _predictions(service: Service) -> Callable[..., Response]:
    def predict(**_parts: str) -> Response:
        target = routes.find(request.environ["PATH_INFO"])
        assert target is not None  # noqa: S101  # the rule and the pattern are one text
        return _response(service.score(request.environ, target))

    return predict


def _http_problem(error: Any) -> Response:
    """Answer what Flask itself refuses (unknown path, wrong method) like everything else."""
    valid = getattr(error, "valid_methods", None)
    headers = [("Allow", ", ".join(valid))] if valid else []
    text = {404: f"nothing here: {request.path[:200]}"}.get(error.code, error.description)
    return _response(problems.problem(RefusedError(error.code, text, headers)))


def _response(reply: Reply) -> Response:
    return Response(reply.body, status=reply.status, headers=reply.headers)
