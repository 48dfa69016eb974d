"""Show the house: which folders there are, on which floor, and what each of them imports.

Usage: python docs/rooms.py [--check]. Writes the tables of architecture.md from the code; with
--check nothing is written, and the exit code is 1 if they are not what the code says today.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp

PAGE = Path(__file__).with_name("architecture.md")
PACKAGE = Path(__file__).parents[1] / "mlkit"
_MARKS = re.compile(r"(<!-- rooms of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

Arrows = Mapping[str, set[str]]


def main(words: list[str]) -> int:
    """Write the tables or check them; return the exit code."""
    text = PAGE.read_text()
    made = rendered(text)
    if words == ["--check"]:
        if made != text:
            sys.stderr.write("docs/architecture.md is out of date; run: python docs/rooms.py\n")
        return int(made != text)
    PAGE.write_text(made)
    return 0


def rendered(text: str) -> str:
    """Return the page with its tables as the code is now."""
    graph = grimp.build_graph("mlkit", cache_dir=None)
    return _MARKS.sub(lambda found: found[1] + _table(graph, found[2]) + found[3], text)


def _table(graph: grimp.ImportGraph, package: str) -> str:
    arrows = _arrows(graph, package)
    floors = _floors(arrows)
    lines = ["| floor | room | files | lives there | imports |", "|---|---|---|---|---|"]
    for room in sorted(arrows, key=lambda name: (-floors[name], name)):
        path = PACKAGE.parent.joinpath(*package.split("."), room)
        count = sum(1 for file in path.rglob("*.py") if file.stem != "__init__") or 1
        imports = ", ".join(sorted(arrows[room])) or "nothing"
        lines.append(f"| {floors[room]} | `{room}` | {count} | {_first_line(path)} | {imports} |")
    return "\n".join([*lines, ""])


def _arrows(graph: grimp.ImportGraph, package: str) -> Arrows:
    """Return what each room of a package imports of the others, lazy imports included."""
    found: dict[str, set[str]] = defaultdict(set)
    for module in graph.find_descendants(package):
        room = _room(module, package)
        found[room] |= {
            _room(other, package)
            for other in graph.find_modules_directly_imported_by(module)
            if other.startswith(f"{package}.")
        } - {room}
    return found


def _room(module: str, package: str) -> str:
    return module.removeprefix(f"{package}.").partition(".")[0]


def _floors(arrows: Arrows) -> dict[str, int]:
    """Return the floor of each room: one above the highest that it imports, from 1."""
    found: dict[str, int] = {}

    def floor(room: str) -> int:
        if room not in found:
            found[room] = 1 + max((floor(other) for other in arrows[room]), default=0)
        return found[room]

    for room in arrows:
        floor(room)
    return found


def _first_line(path: Path) -> str:
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return text.partition("\n\n")[0].replace("\n", " ").replace("``", "`").replace("|", "\\|")


def names() -> Iterator[Path]:
    """Yield the files that the page names, for the test that they exist."""
    for path in re.findall(r"`((?:mlkit|jobs|docs|bench|tests)/[\w/]+\.\w+)`", PAGE.read_text()):
        yield PACKAGE.parent / path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
