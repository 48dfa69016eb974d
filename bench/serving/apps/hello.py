"""A bare WSGI function that reads its body: what granian can give at most."""

from collections.abc import Iterable
from typing import Any

BODY = b"x" * 200


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ["wsgi.input"].read(5_000_001)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "200")])
    return [BODY]
