"""Measure the house against its limits: folders, files, functions, imports, tests.

Usage: python bench/ruler.py. Prints a table; the exit code is 1 if a limit is broken.
"""

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
CODE, TESTS = ROOT / "mlkit", ROOT / "tests"
_APART = {"migrations", "skeleton"}  # written once and never edited; the folder jobs/ by a symlink


def files(folder: Path) -> list[Path]:
    """Return the Python files of a folder, without what is written once and never edited."""
    return [file for file in sorted(folder.rglob("*.py")) if not _APART & set(file.parts)]


def function_lengths(file: Path) -> Iterator[int]:
    """Yield the lines of each function, from its ``def`` to its end, without its docstring."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            told = ast.get_docstring(node) is not None
            doc = (first.end_lineno or 0) - first.lineno + 1 if told else 0
            yield (node.end_lineno or node.lineno) - node.lineno + 1 - doc


def percentile(values: list[int], share: float) -> int:
    """Return the value that ``share`` of all do not exceed."""
    return sorted(values)[round(share * (len(values) - 1))]


def main() -> int:
    """Print what was measured beside its limit; return 1 if a limit is broken."""
    code = files(CODE)
    lines = {file: len(file.read_text().splitlines()) for file in code}
    lengths = [length for file in code for length in function_lengths(file)]
    graph = grimp.build_graph("mlkit", cache_dir=None)
    fan_out = [len(graph.find_modules_directly_imported_by(module)) for module in graph.modules]
    folders = Counter(file.parent for file in code if file.stem != "__init__")
    tests = sum(len(file.read_text().splitlines()) for file in files(TESTS))
    total = sum(lines.values())
    largest, most = folders.most_common(1)[0]
    longest = max(lines, key=lambda file: lines[file])
    measured: list[tuple[str, float, float | None, str]] = [
        ("modules of the largest folder", most, 35, str(largest.relative_to(ROOT))),
        *(
            (f"modules of the largest folder in {layer}", count, limit, name)
            for layer, limit in (("flows", 20), ("steps", 25))
            for name, count in [_largest(folders, layer)]
        ),
        ("lines of the longest file", lines[longest], 300, str(longest.relative_to(ROOT))),
        ("files over 300 lines", sum(count > 300 for count in lines.values()), 0, ""),
        ("lines of a function, median", statistics.median(lengths), 8, ""),
        ("lines of a function, 90 of 100", percentile(lengths, 0.9), 20, ""),
        ("imports of a module, 90 of 100", percentile(fan_out, 0.9), 8, ""),
        ("lines of code", total, None, f"{len(code)} files"),
        ("lines of tests for a line of code (at least)", round(tests / total, 2), None, ""),
    ]
    broken = 0
    for what, value, limit, where in measured:
        missed = limit is not None and value > limit
        broken += missed
        shown = "" if limit is None else f"at most {limit:g}"
        sys.stdout.write(
            f"{what:46} {value:>9,} {shown:>12} {'BROKEN' if missed else '':7}{where}\n"
        )
    return int(bool(broken))


def _largest(folders: Counter[Path], layer: str) -> tuple[str, int]:
    inside = {
        path: count for path, count in folders.items() if CODE / layer in (path, *path.parents)
    }
    path = max(inside, key=lambda each: inside[each])
    return str(path.relative_to(ROOT)), inside[path]


if __name__ == "__main__":
    sys.exit(main())
