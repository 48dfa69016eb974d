"""The installed documentation, pages of ``docs/`` and the changelog: the list, and one text.

A wheel installs them in ``share/doc/mlkit`` of its environment; in a checkout they are in
``docs/``.
"""

import difflib
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import mlkit
from mlkit.errors import NotFoundError

_FIRST = ("guide", "data", "validation", "features", "serving", "monitoring", "operations")


class Page(NamedTuple):
    """One page: its topic, its heading, and its file."""

    topic: str
    title: str
    file: Path


def pages() -> list[Page]:
    """Return all pages, those to read first at the front.

    Raises NotFoundError if the pages are not installed.
    """
    files = _installed() or _of_the_checkout()
    if not files:
        raise NotFoundError(
            "the documentation is not installed with this mlkit; install it from its wheel"
        )
    found = [Page(file.stem.lower(), _title(file), file) for file in sorted(files)]
    return sorted(found, key=lambda page: _rank(page.topic))


def read(topic: str) -> tuple[Page, str]:
    """Return the page ``topic`` and its text (Markdown).

    Raises NotFoundError with the existing pages.
    """
    known = {page.topic: page for page in pages()}
    page = known.get(topic.lower().removesuffix(".md"))
    if page is None:
        near = difflib.get_close_matches(topic.lower(), known, n=1)
        hint = f"; did you mean '{near[0]}'" if near else ""
        raise NotFoundError(f"no page named {topic!r}{hint}; known: {', '.join(known)}")
    return page, page.file.read_text(encoding="utf-8")


def _installed() -> list[Path]:
    try:
        files = metadata.files("mlkit") or []
    except metadata.PackageNotFoundError:
        return []
    pages = [file for file in files if file.parts[-3:-1] == ("doc", "mlkit")]
    found = [Path(str(file.locate())) for file in pages if file.suffix == ".md"]
    return [file for file in found if file.exists()]


def _of_the_checkout() -> list[Path]:
    root = Path(mlkit.__file__).parents[1]
    if not (root / "pyproject.toml").exists():  # another package's folder in site-packages
        return []
    return [*(root / "docs").glob("*.md"), root / "CHANGELOG.md"]


def _title(file: Path) -> str:
    with file.open(encoding="utf-8") as stream:
        return next((line[2:].strip() for line in stream if line.startswith("# ")), file.stem)


def _rank(topic: str) -> tuple[int, str]:
    return (_FIRST.index(topic) if topic in _FIRST else len(_FIRST), topic)
