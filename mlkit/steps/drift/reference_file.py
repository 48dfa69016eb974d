"""A reference as a file: arrays and a header of JSON, without any pickle."""

import io
import zipfile
from typing import Any, Final

import msgspec
import numpy as np

from mlkit.errors import DamagedError
from mlkit.steps.drift.derived import Way
from mlkit.steps.drift.reference_columns import (
    NO_ENDS,
    NO_HASHES,
    Measure,
    Profile,
    Reference,
    Role,
)
from mlkit.steps.drift.violations import Usual
from mlkit.steps.inputs.columns import Kind

_FORMAT: Final = 3
_VIOLATIONS: Final = 3
_READABLE: Final = (1, 2, 3)  # 1 had no taus, 1 and 2 nothing about violations


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """A profile without its arrays, as it is stored."""

    name: str
    measure: Measure
    numeric: bool
    present: int
    labels: tuple[str, ...]
    rows: int | None = None  # format 1: those of the reference
    role: Role = "input"
    column: str = ""  # before format 3: the name
    derived: Way | None = None
    kind: Kind | None = None
    usual: Usual | None = None


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    rows: int
    columns: tuple[_Head, ...]
    sizes: tuple[int, ...] = ()
    span_s: float | None = None


def dump(reference: Reference) -> bytes:
    """Return ``reference`` as an npz file; the same reference gives the same bytes."""
    heads = tuple(
        _Head(
            name=p.name,
            measure=p.measure,
            numeric=p.numeric,
            present=p.present,
            labels=p.labels,
            rows=p.rows,
            role=p.role,
            column=p.column,
            derived=p.derived,
            kind=p.kind,
            usual=p.usual,
        )
        for p in reference.columns
    )
    header = _Header(
        format=_FORMAT,
        rows=reference.rows,
        columns=heads,
        sizes=reference.sizes,
        span_s=reference.span_s,
    )
    arrays = {"header": np.frombuffer(msgspec.json.encode(header), dtype=np.uint8)}
    for place, profile in enumerate(reference.columns):
        arrays[f"values{place}"] = profile.values
        arrays[f"counts{place}"] = profile.counts
        arrays[f"taus{place}"] = profile.taus
        arrays[f"ends{place}"] = profile.ends
        arrays[f"known{place}"] = profile.known
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes a name for allow_pickle
    return stream.getvalue()


def load(content: bytes) -> Reference:
    """Return the reference that ``build`` wrote; raises DamagedError."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            header = msgspec.json.decode(file["header"].tobytes(), type=_Header)
            if header.format not in _READABLE:
                raise DamagedError(
                    f"the reference has format {header.format}; this program reads up to {_FORMAT}"
                )
            profiles = [_restore(file, place, header) for place in range(len(header.columns))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedError(
            f"the drift reference cannot be read: {error}; restore a backup "
            "(see: mlkit backup restore)"
        ) from error
    return Reference(
        rows=header.rows, columns=tuple(profiles), sizes=header.sizes, span_s=header.span_s
    )


def _taus(stored: np.ndarray) -> np.ndarray:
    """Return the taus with those of violations; format 2 took these for the values'."""
    return stored if len(stored) > 2 else np.vstack([stored, stored[:1]])


def deviation(values: np.ndarray) -> float:
    """Return the standard deviation, 0 without values."""
    with np.errstate(invalid="ignore", over="ignore"):  # infinities, and what comes near
        return float(values.std()) if len(values) else 0.0


def _restore(file: Any, place: int, header: _Header) -> Profile:
    head, values = header.columns[place], file[f"values{place}"]
    return Profile(
        name=head.name,
        column=head.column or head.name,
        measure=head.measure,
        numeric=head.numeric,
        rows=header.rows if head.rows is None else head.rows,
        present=head.present,
        labels=head.labels,
        role=head.role,
        counts=file[f"counts{place}"],
        values=values,
        deviation=deviation(values),
        taus=_taus(file[f"taus{place}"]) if header.sizes else np.zeros((3, 0)),
        derived=head.derived,
        kind=head.kind,
        ends=file[f"ends{place}"] if header.format >= _VIOLATIONS else NO_ENDS,
        known=file[f"known{place}"] if header.format >= _VIOLATIONS else NO_HASHES,
        usual=head.usual,
    )
