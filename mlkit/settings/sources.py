"""Where settings come from: default < ``mlkit.toml`` < ``MLKIT_*`` < option."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from mlkit.errors import InvalidInputError
from mlkit.settings.table import Settings, table

_ENV_PREFIX = "MLKIT_"


def environment_name(setting: str) -> str:
    """Return the variable that sets ``setting``.

    >>> environment_name("server.port")
    'MLKIT_SERVER_PORT'
    """
    return _ENV_PREFIX + setting.replace(".", "_").upper()


def load(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, object] | None = None,
) -> Settings:
    """Merge defaults, ``file``, ``environment`` and ``options`` (dotted names) into settings.

    Raises InvalidInputError that names the file or variable, the setting and the rule it breaks.
    """
    tree: dict[str, Any] = {} if file is None else _read(file)
    _convert(tree, str(file))
    names = {environment_name(setting.name): setting.name for setting in table()}
    for variable, text in (environment or {}).items():
        if variable in names:
            _put(tree, names[variable], _parse(text))
            _convert(tree, f"environment variable {variable}")
    for name, value in (options or {}).items():
        if value is not None:
            _put(tree, name, value)
    return _convert(tree, "options")


def _read(file: Path) -> dict[str, Any]:
    try:
        tree = msgspec.toml.decode(file.read_bytes())
    except (msgspec.DecodeError, ValueError) as error:  # also of numbers with thousands of digits
        hint = "; put all settings of a table into one place" if "twice" in str(error) else ""
        raise InvalidInputError(f"{file} is not valid TOML: {error}{hint}") from error
    except RecursionError as error:
        raise InvalidInputError(f"{file} is nested too deeply; write it flatter") from error
    return dict(tree)


def _convert(tree: dict[str, Any], origin: str) -> Settings:
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"{origin}: {_explain(str(error), tree)}") from error


def _explain(message: str, tree: Mapping[str, Any]) -> str:
    words, _, place = message.removesuffix("`").rpartition(" - at `$.")
    form = _form(place) if "regex" in words or "enum" in words else None
    if form is not None:
        return f"{place} must be {form}"
    if "unknown field" in message:
        return _unknown(message.split("`")[1], place if words else "", tree)
    text = message.replace("`$.", "`").replace(" - at `$`", "")
    return text[:1].lower() + text[1:]


def _unknown(wrong: str, place: str, tree: Mapping[str, Any]) -> str:
    """Say which table has a key that no setting is called, and what may have been meant."""
    parent = place.removesuffix("[...]")
    if place != parent:  # msgspec does not say in which of them
        tables = tree[parent].items()
        place = next(f"{parent}.{name}" for name, body in tables if wrong in body)
    where = f"[{place}]: " if place else ""
    kind = _kind(parent if place == parent else f"{parent}[...]")
    known = [field.encode_name for field in kind.fields]
    near = difflib.get_close_matches(wrong, known, n=1)
    hint = f"did you mean '{near[0]}'" if near else f"known: {', '.join(known)}"
    return f"{where}unknown setting '{wrong}'; {hint} (see: mlkit docs settings)"


def _kind(place: str) -> Any:
    """Return the type of the setting or table at ``place`` (``drift.window``, ``models[...]``)."""
    kind: Any = inspect.type_info(Settings)
    for name in place.replace("[...]", ".*").split(".") if place else ():
        fields = {field.encode_name: field.type for field in getattr(kind, "fields", ())}
        kind = kind.value_type if name == "*" else fields[name]
    return kind


def _form(place: str) -> str | None:
    """Return what the setting at ``place`` (``drift.window``, ``models[...].x``) may be."""
    kind = _kind(place)
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    forms = [form for kind in kinds if (form := _alternatives(kind))]
    return " or ".join(forms) or None


def _alternatives(kind: Any) -> str:
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(json.dumps(value) for value in kind.values)
    if isinstance(kind, inspect.Metadata):
        if choice := _alternatives(kind.type):
            return choice
        examples = (kind.extra_json_schema or {}).get("examples", ())
        note = (kind.extra or {}).get("note")
        listed = ", ".join(json.dumps(value) for value in examples)
        return f"of the form of {listed}" + (f" ({note})" if note else "")
    return ""


def _parse(value: str) -> object:
    """Return a list for ``["a", "b"]``, the text itself for anything else."""
    if value.startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _put(tree: dict[str, Any], name: str, value: object) -> None:
    section, _, key = name.partition(".")
    tree[section] = {**tree.get(section, {}), key: value}
