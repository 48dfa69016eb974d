"""Where settings come from: default < ``mlkit.toml`` < ``MLKIT_*`` < option."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.settings import Settings, table

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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file} is not valid TOML: {error}") from error
    return dict(tree)


def _convert(tree: dict[str, Any], origin: str) -> Settings:
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"{origin}: {_explain(str(error))}") from error


def _explain(message: str) -> str:
    text = message.replace("`$.", "`").replace(" - at `$`", "")
    text = text[:1].lower() + text[1:]
    if "unknown field" not in text:
        return text
    wrong = text.split("`")[1]
    known = [s.name for s in table()]
    leaf_names = [name.split(".")[1] for name in known] + [name.split(".")[0] for name in known]
    near = difflib.get_close_matches(wrong, leaf_names, n=1)
    hint = f"; did you mean '{near[0]}'" if near else ""
    return f"unknown setting '{wrong}'{hint} (a new mlkit.toml lists all settings, commented out)"


def _parse(value: str) -> object:
    """Return a list for ``["a", "b"]``, the text itself for anything else."""
    if value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _put(tree: dict[str, Any], name: str, value: object) -> None:
    section, _, key = name.partition(".")
    tree[section] = {**tree.get(section, {}), key: value}
