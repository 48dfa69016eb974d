"""``GET /``: the served models, as a page for a browser."""

import html
from collections.abc import Mapping

from mlkit import __version__


def render(versions: Mapping[str, int]) -> bytes:
    """Return the page; ``versions`` are the served versions by model name."""
    rows = "".join(
        f"<li>{html.escape(name)}, version {version}: POST /predict/{html.escape(name)}</li>"
        for name, version in sorted(versions.items())
    )
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>mlkit</title>'
        f"<h1>mlkit {html.escape(__version__)}</h1>"
        f"<ul>{rows or '<li>no model has a champion yet</li>'}</ul>"
        '<p>Also here: POST /actuals, <a href="/readyz">/readyz</a>, '
        '<a href="/metrics">/metrics</a>, <a href="/openapi.json">/openapi.json</a>.</p></html>'
    )
    return text.encode()
