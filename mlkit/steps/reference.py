"""What a table looked like, in little space: all that a later drift check needs of it.

Sorted values of a numeric column, counts of any other, missing values of both, and how windows of
it scatter. No rule lives here.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import DamagedError
from mlkit.steps import casts, moments, scatter
from mlkit.steps.columns import InputSchema, Kind

MAX_VALUES: Final = 100_000
MAX_LABELS: Final = 254  # as many as ``encode`` tells apart
FEW: Final = 20
_FORMAT: Final = 2
_READABLE: Final = (1, 2)  # 1 had no taus

Measure = Literal["number", "label", "hour"]
"""How a column is compared: by its sorted values, its labels, or the hour of day of its times.

Numbers with at most ``FEW`` distinct values are labels: ties make a KS test blind. Calendar time
always passes, so of a time only the hour of day can drift.
"""

Role = Literal["input", "answer", "target"]

_KIND_OF_TYPE: Final[Mapping[pa.DataType, Kind]] = {
    casts.INTEGER: "integer",
    casts.NUMBER: "number",
    casts.BOOLEAN: "boolean",
    casts.TEXT: "category",
    casts.TIME: "datetime",
}
_TYPE_OF_MEASURE: Final[Mapping[Measure, pa.DataType]] = {
    "number": casts.NUMBER,
    "label": casts.TEXT,
    "hour": casts.TIME,
}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One column: ``present`` values of ``rows`` rows.

    ``labels`` are the most frequent ones, ``counts`` theirs and, last, that of all others. Where
    there are more than ``MAX_LABELS``, every other row chooses them and the rest counts.
    ``values`` are sorted: all of them, or, beyond ``MAX_VALUES``, that many order statistics at
    even steps, which move a KS distance by at most ``1 / MAX_VALUES``. ``taus`` has one
    column for each of the reference's window sizes, none if the rows are in no order: how many rows
    are worth one, of values (first row), of gaps (second), and of the ``moments`` of numbers.
    """

    name: str
    measure: Measure
    numeric: bool
    rows: int
    present: int
    labels: tuple[str, ...] = ()
    counts: np.ndarray
    values: np.ndarray
    taus: np.ndarray
    role: Role = "input"


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """All columns of a table of ``rows`` rows; ``sizes`` are the windows that were looked at.

    ``span_s`` is the time from the first row to the last, if that is known.
    """

    rows: int
    columns: tuple[Profile, ...]
    sizes: tuple[int, ...] = ()
    span_s: float | None = None

    def of_target(self) -> "Reference":
        """Return the reference of the actual values alone; versions of old have none of it."""
        kept = tuple(profile for profile in self.columns if profile.role == "target")
        return msgspec.structs.replace(self, columns=kept)

    def of_requests(self) -> "Reference":
        """Return the reference of what is known once a request is answered."""
        kept = tuple(profile for profile in self.columns if profile.role != "target")
        return msgspec.structs.replace(self, columns=kept)


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """A profile without its arrays, as it is stored."""

    name: str
    measure: Measure
    numeric: bool
    present: int
    labels: tuple[str, ...]
    rows: int | None = None  # format 1: those of the reference
    role: Role = "input"


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    rows: int
    columns: tuple[_Head, ...]
    sizes: tuple[int, ...] = ()
    span_s: float | None = None


def build(
    schema: InputSchema,
    table: pa.Table,
    further: Mapping[Role, pa.Table],
    *,
    ordered: bool,
    span_s: float | None = None,
) -> bytes:
    """Return the reference of the input columns of ``table``, as a file without any pickle.

    ``further`` are a model's answers, and the target as it really was, for rows that the model has
    not learned from. Of ``span_s`` see ``Reference``.
    """
    kinds = {column.name: column.kind for column in schema.columns}
    made = summarize(table, kinds, further=further, ordered=ordered)
    return dump(msgspec.structs.replace(made, span_s=span_s))


def summarize(
    table: pa.Table,
    kinds: Mapping[str, Kind] | None = None,
    *,
    further: Mapping[Role, pa.Table] = MappingProxyType({}),
    ordered: bool = False,
) -> Reference:
    """Return the reference of the columns named in ``kinds``; by default of all of them.

    ``further`` are columns of other rows. ``ordered`` says that all rows are in time order, so
    that their windows mean something.
    """
    sizes = scatter.sizes(table.num_rows) if ordered else ()
    wanted = kinds if kinds is not None else kinds_of(table)
    profiles = [_profile(name, kind, table.column(name), sizes) for name, kind in wanted.items()]
    for role, part in further.items():
        for name, kind in kinds_of(part).items():
            made = _profile(name, kind, part.column(name), sizes)
            profiles.append(msgspec.structs.replace(made, role=role))
    return Reference(rows=table.num_rows, columns=tuple(profiles), sizes=sizes)


def kinds_of(table: pa.Table) -> dict[str, Kind]:
    """Return the kind of each column by its type, one of the five of ``casts``."""
    types = zip(table.column_names, table.schema.types, strict=True)
    return {name: _KIND_OF_TYPE[kind] for name, kind in types}


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


def numbers(column: Any) -> np.ndarray:
    """Return the values of a numeric column that are there, in row order."""
    present = casts.cast(column, casts.NUMBER).column.drop_null()
    values: np.ndarray = present.to_numpy().astype(float)
    known: np.ndarray = values[~np.isnan(values)]
    return known


def gaps(column: Any) -> np.ndarray:
    """Return 1 for each row without a value, else 0."""
    missing: np.ndarray = pc.is_null(column, nan_is_null=True).to_numpy()
    return missing.astype(np.int64)


def codes_of(texts: Any, known: Sequence[str]) -> np.ndarray:
    """Return the place of each text in ``known``, ``len(known)`` for any other."""
    places = pc.index_in(texts, pa.array(known, pa.string()))
    found: np.ndarray = pc.fill_null(places, len(known)).to_numpy().astype(np.int64)
    return found


def labels(column: Any, measure: Measure, *, numeric: bool = False) -> Any:
    """Return the values of a column as text to be counted, null where there is none.

    ``numeric`` columns are compared as numbers: 1, 1.0 and "1" are one label.
    """
    if measure == "hour":
        hours = pc.hour(casts.cast(column, casts.TIME).column)
        return hours.cast(casts.TEXT)
    if numeric:
        positive = pc.add(casts.cast(column, casts.NUMBER).column, 0.0)  # -0.0 is 0.0
        return positive.cast(casts.TEXT)
    return column if column.type == casts.TEXT else column.cast(casts.TEXT)


def _profile(name: str, kind: Kind, column: Any, sizes: tuple[int, ...]) -> Profile:
    numeric = kind in ("number", "integer")
    if numeric:
        values = numbers(column)
        ordered = np.sort(values)
        if len(values) and _distinct(ordered) > FEW:
            return Profile(
                name=name,
                measure="number",
                numeric=True,
                rows=len(column),
                present=len(values),
                counts=np.zeros(0, dtype=np.int64),
                values=_thin(ordered),
                taus=_taus_of_numbers(values, ordered, gaps(column), sizes),
            )
    measure: Measure = "hour" if kind == "datetime" else "label"
    texts = labels(column, measure, numeric=numeric)
    return _counted(name, texts, measure, sizes, numeric=numeric)


def _taus_of_numbers(
    values: np.ndarray, ordered: np.ndarray, missing: np.ndarray, sizes: tuple[int, ...]
) -> np.ndarray:
    """Return the taus of the values, of which rows have none, and of the moments of the values."""
    if not sizes:
        return np.zeros((2, 0))
    scores = moments.series(values, moments.scale(_thin(ordered)))
    codes = scatter.cells(values, ordered)
    return np.vstack([_taus(codes, "ks", missing, sizes), scatter.mean_taus(scores, sizes)])


def _taus(
    codes: np.ndarray, statistic: scatter.Statistic, missing: np.ndarray, sizes: tuple[int, ...]
) -> np.ndarray:
    """Return the taus of the values that are there, and of which rows have none."""
    return np.array([scatter.taus(codes, statistic, sizes), scatter.taus(missing, "chi2", sizes)])


def _counted(
    name: str, texts: Any, measure: Measure, sizes: tuple[int, ...], *, numeric: bool
) -> Profile:
    present = texts.drop_null()
    kept = _ranked(present)
    too_many = len(kept) > MAX_LABELS
    if too_many:  # those that are frequent where they are chosen are there by chance as well
        kept = _ranked(present.take(np.arange(0, len(present), 2)))[:MAX_LABELS]
    codes = codes_of(present, kept)
    counted = codes[1::2] if too_many else codes
    return Profile(
        name=name,
        measure=measure,
        numeric=numeric,
        rows=len(texts),
        present=len(present),
        labels=tuple(kept),
        counts=np.bincount(counted, minlength=len(kept) + 1),
        values=np.zeros(0),
        taus=_taus(codes, "chi2", gaps(texts), sizes),
    )


def _ranked(present: Any) -> list[str]:
    """Return the labels, the most frequent first."""
    found = pc.value_counts(present)
    pairs = zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
    return [label for label, _ in sorted(pairs, key=lambda pair: (-pair[1], pair[0]))]


def _distinct(values: np.ndarray) -> int:
    return 1 + int(np.count_nonzero(np.diff(values)))


def _thin(values: np.ndarray) -> np.ndarray:
    if len(values) <= MAX_VALUES:
        return values
    places = (np.arange(MAX_VALUES) + 0.5) * len(values) / MAX_VALUES
    return values[places.astype(np.int64)]


def _restore(file: Any, place: int, header: _Header) -> Profile:
    head = header.columns[place]
    return Profile(
        name=head.name,
        measure=head.measure,
        numeric=head.numeric,
        rows=header.rows if head.rows is None else head.rows,
        present=head.present,
        labels=head.labels,
        role=head.role,
        counts=file[f"counts{place}"],
        values=file[f"values{place}"],
        taus=file[f"taus{place}"] if header.sizes else np.zeros((2, 0)),
    )
