"""The file format of an estimation, without pickle; the same estimation gives the same bytes."""

import io
import zipfile
from typing import Any, Final

import msgspec
import numpy as np

from mlkit.errors import DamagedError
from mlkit.steps.inputs.answers import Label
from mlkit.steps.performance.additive import Additive
from mlkit.steps.performance.calibration import Curve
from mlkit.steps.performance.class_shares import Looks
from mlkit.steps.performance.estimation import Estimation, Parts, Way

_FORMAT: Final = 1


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """All fields that are not arrays; ``curves`` is their number, ``level`` the constant term."""

    format: int
    metric: str
    way: Way
    trusted: bool
    reason: str
    rows: int
    loss: float
    spread: float
    tau: float
    slack: float
    names: tuple[str, ...]
    classes: tuple[Label, ...]
    start: float
    level: float
    curves: int


def dump(known: Estimation) -> bytes:
    """Return ``known`` as an npz file."""
    curves = known.calibrated.curves if known.calibrated else ()
    own = {name: getattr(known, name) for name in _Header.__struct_fields__ if hasattr(known, name)}
    header = _Header(
        **own,
        format=_FORMAT,
        start=known.inputs.start,
        level=known.calibrated.level if known.calibrated else 0.0,
        curves=len(curves),
    )
    arrays = {"header": np.frombuffer(msgspec.json.encode(header), dtype=np.uint8)}
    arrays |= {f"inputs_{name}": getattr(known.inputs, name) for name in Additive._fields[1:]}
    arrays["base"] = known.base
    if known.looks is not None:
        arrays |= {f"looks_{name}": getattr(known.looks, name) for name in Looks._fields}
    for place, curve in enumerate(curves):
        arrays |= {f"{name}{place}": getattr(curve, name) for name in Curve._fields}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes a name for allow_pickle
    return stream.getvalue()


def load(content: bytes) -> Estimation:
    """Return the estimation that ``dump`` wrote; raises DamagedError."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            header = msgspec.json.decode(file["header"].tobytes(), type=_Header)
            if header.format != _FORMAT:
                raise DamagedError(
                    f"the estimation has format {header.format}; this program reads {_FORMAT}"
                )
            return _restore(file, header)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedError(
            f"what performance is estimated with cannot be read: {error}; restore a backup "
            "(see: mlkit backup restore)"
        ) from error


def _restore(file: Any, header: _Header) -> Estimation:
    curves = tuple(
        Curve(*(file[f"{name}{place}"] for name in Curve._fields)) for place in range(header.curves)
    )
    looked = f"looks_{Looks._fields[0]}" in file
    looks = Looks(*(file[f"looks_{name}"] for name in Looks._fields)) if looked else None
    arrays = (file[f"inputs_{name}"] for name in Additive._fields[1:])
    own = {name: getattr(header, name) for name in _Header.__struct_fields__}
    for name in ("format", "start", "level", "curves"):
        del own[name]
    return Estimation(
        **own,
        calibrated=Parts(header.level, curves) if curves else None,
        inputs=Additive(header.start, *arrays),
        base=file["base"],
        looks=looks,
    )
