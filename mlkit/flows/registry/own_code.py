"""Find the code of a user's estimator: its module, and the imports that are not installed.

Own modules are in the project folder or a folder of ``PYTHONPATH``; installed packages are recorded
by name and version.
"""

import ast
import functools
import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from mlkit.errors import DamagedError
from mlkit.flows.registry import provenance
from mlkit.steps.predictors.own_modules import OwnCode, Source, package_of
from mlkit.store.disk import blobs

_OURS = "mlkit"  # may be there as well, like names of stored modules
_INSTALLED = {"site-packages", "dist-packages"}


class Recorded(msgspec.Struct, frozen=True):
    """The result of ``record`` when a version was trained."""

    files: dict[str, str] = {}
    not_kept: dict[str, str] = {}
    libraries: tuple[str, ...] = ()


class Finder:
    """Find modules on disk as ``import`` does; called with a name, it returns the source or None.

    Failed look-ups are cached.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = folders(root)
        self._found: dict[str, Source | None] = {}

    def __call__(self, name: str) -> Source | None:
        """Return the source of the module ``name`` if it is the user's own."""
        if name not in self._found:
            self._found[name] = self._look(name)
        return self._found[name]

    def _look(self, name: str) -> Source | None:
        parent, _, leaf = name.rpartition(".")
        if not parent:
            if leaf == _OURS:
                return None
            found = (self._at(folder / leaf) for folder in self._folders)
            source = next(filter(None, found), None)
            return None if source is None or self._is_shadowed(leaf, source) else source
        package = self(parent)
        if package is None or not package.package:
            return None
        path = self._root / package.path
        return self._at((path.parent if package.is_file else path) / leaf)

    def _at(self, path: Path) -> Source | None:
        """Return the module at ``path``, without suffix, in Python's search order."""
        if (path / "__init__.py").is_file():
            return self._source(path / "__init__.py", package=True)
        if any(path.with_name(path.name + suffix).is_file() for suffix in EXTENSION_SUFFIXES):
            return None
        file = path.with_name(f"{path.name}.py")
        if file.is_file():
            return self._source(file, package=False)
        return Source(_shown(self._root, path), b"", package=True) if path.is_dir() else None

    def _source(self, path: Path, *, package: bool) -> Source:
        return Source(_shown(self._root, path), path.read_bytes(), package=package)

    def _is_shadowed(self, name: str, source: Source) -> bool:
        """Tell whether ``import`` would find another module of this name first."""
        loaded = sys.modules.get(name)
        if loaded is not None:
            return not _is_in(_places(loaded), self._folders)
        if source.is_file:
            return False
        spec = PathFinder.find_spec(name)  # namespace packages come last
        return spec is not None and spec.origin is not None


@contextmanager
def importable(root: Path) -> Iterator[None]:
    """Make the modules of the project folder importable by their plain names."""
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


def gather(root: Path, module: str) -> OwnCode | None:
    """Return a module and all its own imports, nested ones too; None if it is not the user's."""
    find = Finder(root)
    if find(module) is None:
        return None
    sources = _reached(find, [module])
    return OwnCode(package_of(sources), sources)


def imported(root: Path, text: str | bytes) -> dict[str, Source]:
    """Return the user's own modules that a text imports, transitively, by name."""
    source = Source("", text if isinstance(text, bytes) else text.encode())
    return _reached(Finder(root), _imports(source, ""))


def _reached(find: Finder, modules: Iterable[str]) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    waiting = [name for module in modules for name in _with_parents(module)]
    while waiting:
        name = waiting.pop()
        source = None if name in sources else find(name)
        if source is not None:
            sources[name] = source
            for imported in _imports(source, name):
                waiting += _with_parents(imported)
    return sources


def forget(root: Path, module: str) -> None:
    """Remove ``module`` and its own imports from ``sys.modules``, so that they run anew."""
    code = gather(root, module)
    own = folders(root)
    for name in set(code.sources if code else ()) - {module}:
        loaded = sys.modules.get(name)
        if loaded is not None and _is_in(_places(loaded), own):
            del sys.modules[name]
    importlib.invalidate_caches()


def folders(root: Path) -> list[Path]:
    """Return the folders of the user's own modules, first the project's."""
    others = [Path(text) for text in os.environ.get("PYTHONPATH", "").split(os.pathsep) if text]
    return [root, *(path.absolute() for path in others if not _INSTALLED & set(path.parts))]


def loaded(root: Path) -> set[str]:
    """Return the user's own modules that this process has imported by their plain names."""
    own = folders(root)
    found = {name for name, module in list(sys.modules.items()) if _is_in(_places(module), own)}
    return {name for name in found if not name.startswith(_OURS)}


def record(
    root: Path, module: str, code: OwnCode | None, not_kept: Iterable[str]
) -> dict[str, Any]:
    """Return the code record of a version: the digest of each file, and the imported libraries.

    Files of the modules ``not_kept`` are listed apart; libraries have their installed names.
    """
    places = [place for name in not_kept for place in _places(sys.modules[name])]
    return {
        "files": {} if code is None else code.files,
        "not_kept": {_shown(root, path): blobs.file_digest(path) for path in places},
        "libraries": _libraries(module, {} if code is None else code.sources),
    }


def _libraries(module: str, sources: Mapping[str, Source]) -> list[str]:
    imported = {name for own, source in sources.items() for name in _imports(source, own)}
    tops = {name.partition(".")[0] for name in (module, *imported)}
    return provenance.libraries_of(tops - sources.keys())


def recorded(value: Mapping[str, Any] | None) -> Recorded:
    """Decode the code record of a version, empty if there is none; raises DamagedError."""
    try:
        return msgspec.convert(value or {}, Recorded)
    except msgspec.ValidationError as error:
        raise DamagedError(
            f"what is recorded of the code of a version was edited: {error}; "
            "restore a backup (see: mlkit backup restore)"
        ) from error


def changes(root: Path, value: Mapping[str, Any] | None, *, kept: bool = True) -> list[str]:
    """Return the paths of files that have changed on disk since a version was trained.

    Files stored with the version are skipped unless ``kept``.
    """
    found = recorded(value)
    files = {**found.not_kept, **(found.files if kept else {})}
    return [path for path, sha256 in sorted(files.items()) if not _is_same(root / path, sha256)]


def _shown(root: Path, path: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _is_same(path: Path, sha256: str) -> bool:
    return path.is_file() and blobs.file_digest(path) == sha256


def _places(module: ModuleType) -> list[Path]:
    """Return the paths of a module, none if it is built in."""
    file = getattr(module, "__file__", None)
    return [_path(file)] if file else [Path(path) for path in getattr(module, "__path__", ())]


_path = functools.cache(Path)  # cached: thousands of modules do not move


def _is_in(places: list[Path], own: list[Path]) -> bool:
    inside = [
        place.parts[len(folder.parts) :]
        for place in places
        for folder in own
        if place.parts[: len(folder.parts)] == folder.parts
    ]
    return any(not _INSTALLED & set(parts) for parts in inside)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[: count + 1]) for count in range(len(parts)))


def _imports(source: Source, name: str) -> Iterator[str]:
    """Yield the names of modules that a source imports, also inside functions."""
    try:
        nodes = list(ast.walk(ast.parse(source.text)))
    except (SyntaxError, ValueError):
        return  # the import reports the position
    package = name if source.package else name.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = _absolute(node.module or "", package, node.level)
            yield from (f"{start}.{alias.name}".strip(".") for alias in node.names)
        elif isinstance(node, ast.Call):
            yield from _called(node, package)


def _called(node: ast.Call, package: str) -> Iterator[str]:
    """Yield the name in ``import_module("name")`` and ``__import__("name")``."""
    function = node.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = node.args[0] if node.args else None
    if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
        text = str(first.value)
        level = len(text) - len(text.lstrip("."))
        yield _absolute(text.lstrip("."), package, level)


def _absolute(name: str, package: str, level: int) -> str:
    if not level:
        return name
    parts = package.split(".")
    return ".".join([*parts[: max(0, len(parts) - level + 1)], name]).strip(".")
