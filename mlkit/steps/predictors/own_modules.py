"""Run a user's modules from stored sources, each set under its own package name.

So two versions of one file can serve in one process. The modules of a set import each other as on
disk; other imports are the installed packages. Files are found in ``flows/registry/own_code.py``.
"""

import builtins
import hashlib
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
)
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec

_PREFIX: Final = "mlkit_own_"


class Source(msgspec.Struct, frozen=True):
    """The source of a module; ``path`` is absolute, or relative to the project folder.

    ``package`` says whether it can contain modules; a namespace package has no text.
    """

    path: str
    text: bytes
    package: bool = False

    @property
    def sha256(self) -> str:
        """The digest of the text."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def is_file(self) -> bool:
        """Tell whether there is a file: a namespace package has none."""
        return self.path.endswith(".py")


Sources = Mapping[str, Source]
Find = Callable[[str], Source | None]


class OwnCode(msgspec.Struct, frozen=True):
    """Modules by name, and the name of the package that they run in."""

    package: str
    sources: dict[str, Source]

    @property
    def files(self) -> dict[str, str]:
        """The digest of each file, by its path."""
        return {source.path: source.sha256 for source in self.sources.values() if source.is_file}


def package_of(sources: Sources) -> str:
    """Return the package name of a set of modules, unique for its content."""
    lines = [f"{name} {source.path} {source.sha256}" for name, source in sorted(sources.items())]
    return _PREFIX + hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


class OwnModules(Loader):
    """The modules of one set; ``find`` looks for missing ones, in training only."""

    def __init__(self, code: OwnCode, root: Path, find: Find | None = None) -> None:
        self.code = code
        self._root = root
        self._find = find
        self._builtins = {**vars(builtins), "__import__": self._import}

    def start(self) -> None:
        """Make the modules importable in this process, also for unpickling; all run anew."""
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())
        _RUNNING[self.code.package] = self
        for name in [name for name in sys.modules if _is_inside(name, self.code.package)]:
            del sys.modules[name]
        _send_by_value(importlib.import_module(self.code.package))

    def module(self, name: str) -> ModuleType:
        """Return the module of the set by its name on disk."""
        return importlib.import_module(f"{self.code.package}.{name}")

    def has(self, name: str) -> bool:
        """Tell whether a module is in the set; in training a module found on disk is added."""
        if name not in self.code.sources and self._find is not None:
            found = self._find(name)
            if found is not None:
                self.code.sources[name] = found
        return name in self.code.sources

    def spec(self, name: str) -> ModuleSpec | None:
        """Return the import spec of the module ``name``, None if it is not in the set."""
        if name == self.code.package:
            return ModuleSpec(name, self, is_package=True)
        inner = name.removeprefix(f"{self.code.package}.")
        if not self.has(inner):
            return self._built(name, inner)
        source = self.code.sources[inner]
        spec = ModuleSpec(name, self, origin=str(self._path(source)), is_package=source.package)
        spec.has_location = source.is_file
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Run the module from its stored source."""
        inner = module.__name__.removeprefix(f"{self.code.package}.")
        source = self.code.sources.get(inner)
        if source is None or not source.is_file:
            return
        vars(module)["__builtins__"] = self._builtins
        exec(compile(source.text, str(module.__file__), "exec", dont_inherit=True), vars(module))  # noqa: S102  # as `import` runs it

    def get_source(self, name: str) -> str:
        """Return the source of a module for tracebacks, as the file may have changed."""
        source = self.code.sources.get(name.removeprefix(f"{self.code.package}."))
        return importlib.util.decode_source(source.text) if source else ""

    def _path(self, source: Source) -> Path:
        return self._root / source.path

    def _built(self, name: str, inner: str) -> ModuleSpec | None:
        """Return the spec of an extension module on disk: machine code is not stored."""
        parent = self.code.sources.get(inner.rpartition(".")[0])
        if parent is None:
            return None
        folder = self._path(parent).parent if parent.is_file else self._path(parent)
        return FileFinder(str(folder), (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec(name)

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  # the signature of __import__
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        """Replace ``__import__`` in the modules of the set: names on disk resolve to the set."""
        top = name.partition(".")[0]
        if level or not self.has(top):
            found = builtins.__import__(name, globals, locals, fromlist, level)
            return self._importlib() if found is importlib else found
        full = f"{self.code.package}.{name}"
        if fromlist:
            return builtins.__import__(full, globals, locals, fromlist, 0)
        importlib.import_module(full)
        return sys.modules[f"{self.code.package}.{top}"]

    def _import_module(self, name: str, package: str | None = None) -> ModuleType:
        own = not name.startswith(".") and self.has(name.partition(".")[0])
        return self.module(name) if own else importlib.import_module(name, package)

    def _importlib(self) -> ModuleType:
        """Return an importlib whose ``import_module`` finds the modules of the set."""
        found = ModuleType("importlib", importlib.__doc__)
        vars(found).update(vars(importlib), import_module=self._import_module)
        return found


class _Finder(MetaPathFinder):
    """Finds the modules of all started sets."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # the signature of finders
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return the spec of a module of a set, None for any other."""
        running = _RUNNING.get(fullname.partition(".")[0])
        return running.spec(fullname) if running else None


_RUNNING: dict[str, OwnModules] = {}
_LOCKS: dict[str, threading.RLock] = {}


def lock(code: OwnCode) -> "threading.RLock":
    """Return the lock to hold while starting a set and unpickling objects of its classes.

    Each start runs the modules anew, and unpickled objects must refer to one run.
    """
    return _LOCKS.setdefault(code.package, threading.RLock())


def _is_inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _send_by_value(package: ModuleType) -> None:
    """Make joblib send the code by value to its worker processes, which lack our finder."""
    for name in ("cloudpickle", "joblib.externals.cloudpickle"):  # newer and older joblib
        with suppress(ImportError):
            cloudpickle: Any = importlib.import_module(name)
            cloudpickle.register_pickle_by_value(package)
