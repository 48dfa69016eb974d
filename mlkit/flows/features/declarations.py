"""Load the features that a project declares in its ``features.py``."""

import hashlib
import linecache
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlkit.errors import InvalidInputError, NotFoundError, Stopped, unknown
from mlkit.flows.registry import own_code
from mlkit.flows.registry.own_code import importable
from mlkit.project import Project
from mlkit.steps.features import code_digest
from mlkit.steps.features.view import FeatureView, OnDemand

FILE = "features.py"
_SEE = "mlkit features list"

Made = TypeVar("Made", FeatureView, OnDemand)


@dataclass(frozen=True)
class Declared:
    """What ``features.py`` of ``root`` declares, by name, its text and a digest of its code."""

    views: dict[str, FeatureView]
    on_demand: dict[str, OnDemand]
    digest: str
    text: bytes = b""
    root: Path = Path()

    def view(self, name: str) -> FeatureView:
        """Return the view; raises NotFoundError with the names that exist."""
        if name not in self.views:
            raise unknown("feature view", name, sorted(self.views), _SEE)
        return self.views[name]

    def transformation(self, name: str) -> OnDemand:
        """Return the on-demand transformation; raises NotFoundError."""
        if name not in self.on_demand:
            raise unknown("on-demand transformation", name, sorted(self.on_demand), _SEE)
        return self.on_demand[name]

    def code_of(self, made: OnDemand) -> str:
        """Return the digest of a transformation's code and of the code that it uses."""
        return _code_of(self.root, self.text, made.name) or self.digest

    def is_code_of(self, name: str, recorded: str) -> bool:
        """Tell whether the code of a transformation still has the ``recorded`` digest."""
        return is_code_of(self.root, self.text, name, recorded)

    def chosen(self, names: tuple[str, ...] = ()) -> list[FeatureView]:
        """Return the views of these names, or all if none are given."""
        return [self.view(name) for name in names] if names else list(self.views.values())


def is_code_of(root: Path, text: bytes, name: str, recorded: str) -> bool:
    """Tell whether the code of a transformation in ``text`` has the ``recorded`` digest.

    A digest of the whole text, as older releases recorded, is accepted too. Raises SyntaxError.
    """
    whole = hashlib.sha256(text).hexdigest()
    return recorded in (whole, _code_of(root, text, name), _with_imports(root, whole, text))


def _code_of(root: Path, text: bytes, name: str) -> str | None:
    """Return the digest of the definition of ``name`` and of the user's modules that it imports."""
    found = code_digest.of(text, name)
    return found and _with_imports(root, found, code_digest.imports(text, name))


def _with_imports(root: Path, digest: str, text: str | bytes) -> str:
    """Return ``digest`` combined with the digests of the user's files that a text imports."""
    used = own_code.imported(root, text)
    lines = [f"{name} {code_digest.of_module(used[name].text)}" for name in sorted(used)]
    return hashlib.sha256("\n".join([digest, *lines]).encode()).hexdigest() if lines else digest


def exists(project: Project) -> bool:
    """Tell whether the project declares features at all."""
    return (project.root / FILE).is_file()


def load(project: Project) -> Declared:
    """Run ``features.py`` and return its declarations, in the order of the file.

    Raises NotFoundError without the file, InvalidInputError with its line for whatever is wrong in
    it. The file is run anew each time, without any cache.
    """
    path = project.root / FILE
    if not path.is_file():
        raise NotFoundError(
            f"this project has no {FILE}; declare a feature view in {path} "
            "(see: mlkit docs features)"
        )
    text = path.read_bytes()
    module = _run(project.root, path, text)
    made = [value for value in vars(module).values() if isinstance(value, FeatureView | OnDemand)]
    found = list({id(value): value for value in made}.values())
    return Declared(
        views=_by_name([value for value in found if isinstance(value, FeatureView)]),
        on_demand=_by_name([value for value in found if isinstance(value, OnDemand)]),
        digest=_with_imports(project.root, hashlib.sha256(text).hexdigest(), text),
        text=text,
        root=project.root,
    )


def load_or_nothing(project: Project) -> Declared:
    """Return the declarations of ``features.py``, none without such a file."""
    return load(project) if exists(project) else Declared({}, {}, "")


def _by_name(made: list[Made]) -> dict[str, Made]:
    found: dict[str, Made] = {}
    for value in made:
        if value.name in found:
            raise InvalidInputError(f"{FILE} declares {value} twice; give one another name")
        found[value.name] = value
    return found


def _run(root: Path, path: Path, text: bytes) -> types.ModuleType:
    """Run the module; no bytecode is written, which a quick edit could leave stale.

    The project modules that it imports are run anew as well.
    """
    module = types.ModuleType("features")
    module.__file__ = str(path)
    before = sys.modules.get("features")
    sys.modules["features"] = module  # dataclasses look up their own module
    linecache.checkcache(str(path))
    own_code.forget(root, "features")
    try:
        with importable(root):
            exec(compile(text, str(path), "exec"), vars(module))  # noqa: S102  # the user's own file, as `import` would run it
    except SyntaxError as error:
        raise InvalidInputError(f"{FILE}, line {error.lineno}: {error.msg}") from error
    except Stopped:
        raise
    except (Exception, SystemExit) as error:  # a user's module may do anything
        message = str(error) if isinstance(error, InvalidInputError) else repr(error)
        raise InvalidInputError(f"{FILE}, line {_line(error, path)}: {message}") from error
    finally:
        if before is not None:
            sys.modules["features"] = before
    return module


def _line(error: BaseException, path: Path) -> int:
    """Return the innermost line of the file in the traceback of the error."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def view_named(declared: Declared, name: str) -> FeatureView:
    """Return the view; raises NotFoundError with all that might have been meant."""
    if name not in declared.views:
        known = sorted([*declared.views, *declared.on_demand])
        raise unknown("feature view or transformation", name, known, "mlkit features list")
    return declared.views[name]
