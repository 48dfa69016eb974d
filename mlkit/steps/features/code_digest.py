"""The digest of a function in a Python file, which changes only with the code that it runs.

It covers the function and, transitively, what it names in the same file, without comments, layout
and docstrings. ``imports`` returns its imports, ``of_module`` digests an imported file.
"""

import ast
import hashlib
from collections.abc import Iterator

_ABOUT = frozenset({"owner", "description", "tests"})  # no effect on values


def of(text: str | bytes, name: str) -> str | None:
    r"""Return the digest of the definition of ``name`` in ``text``, None if there is none.

    >>> before = of("k = 2\ndef double(x): return k * x", "double")
    >>> before == of("k = 2\ndef double(x):  # twice\n    return k * x", "double")
    True
    >>> before == of("k = 3\ndef double(x): return k * x", "double")
    False
    >>> of("k = 2", "double") is None
    True

    Raises SyntaxError for a text that is no Python.
    """
    reached = _reached(text, name)
    if not reached:
        return None
    lines = [f"{each}: {ast.unparse(part)}" for each in sorted(reached) for part in reached[each]]
    return _digest(lines)


def imports(text: str | bytes, name: str) -> str:
    r"""Return the imports that the definition of ``name`` needs, also nested ones, as source text.

    >>> imports("import a, b\ndef f(x):\n    import c\n    return a.g(x)", "f")
    'import a\nimport c'

    Raises SyntaxError for a text that is no Python.
    """
    statements = [each for part in _reached(text, name).values() for each in part]
    statements += filter(_has_star, _statements(ast.parse(text)))
    return "\n".join(sorted({ast.unparse(node) for each in statements for node in _imports(each)}))


def of_module(text: bytes) -> str:
    """Return the digest of all code of a file, or of its bytes if it is no Python."""
    try:
        return _digest([ast.unparse(_stripped(each)) for each in ast.parse(text).body])
    except (SyntaxError, ValueError):
        return hashlib.sha256(text).hexdigest()


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _reached(text: str | bytes, name: str) -> dict[str, list[ast.stmt]]:
    """Return the statements that define ``name`` and, transitively, the names that they use."""
    parts: dict[str, list[ast.stmt]] = {}
    for statement in map(_stripped, _statements(ast.parse(text))):
        for defined in dict.fromkeys(_defined(statement)):
            parts.setdefault(defined, []).append(statement)
    seen, waiting = {name} & parts.keys(), [name] if name in parts else []
    while waiting:
        for statement in parts[waiting.pop()]:
            found = _named(statement) & parts.keys() - seen
            seen |= found
            waiting += found
    return {each: parts[each] for each in seen}


def _imports(statement: ast.stmt) -> Iterator[ast.Import | ast.ImportFrom]:
    return (n for n in ast.walk(statement) if isinstance(n, ast.Import | ast.ImportFrom))


def _has_star(statement: ast.stmt) -> bool:
    """Tell whether a statement is a star import, whose names are unknown here."""
    return any(alias.name == "*" for node in _imports(statement) for alias in node.names)


def _statements(file: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of a file, one for each name that is imported."""
    for statement in file.body:
        if isinstance(statement, ast.Import):
            yield from (ast.Import([each]) for each in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            for each in statement.names:
                yield ast.ImportFrom(statement.module, [each], statement.level)
        else:
            yield statement


def _defined(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement of the file defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from _named(node.value)
        elif isinstance(node, ast.Expr):  # the call may change its names
            yield from _named(node)
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


def _named(statement: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _stripped(statement: ast.stmt) -> ast.stmt:
    """Return a statement without the parts that do not affect its result."""
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            for call in node.decorator_list:
                if isinstance(call, ast.Call):
                    call.keywords = [each for each in call.keywords if each.arg not in _ABOUT]
    return statement
