"""The data classes of a reference: a table and its columns. Nothing is computed here."""

from typing import Final, Literal

import msgspec
import numpy as np

from mlkit.steps.drift.derived import Way
from mlkit.steps.drift.result import ViolationKind
from mlkit.steps.drift.violations import Usual
from mlkit.steps.inputs.columns import Kind

MAX_VALUES: Final = 100_000
MAX_KNOWN: Final = 100_000  # labels whose hashes are kept; with more, new labels are normal
MAX_LABELS: Final = 254  # as many as ``encode`` tells apart
FEW: Final = 20
NO_HASHES: Final = np.zeros(0, dtype=np.uint32)
NO_ENDS: Final = np.zeros(0)

Measure = Literal["number", "label", "hour", "text"]
"""How a column is compared: by its sorted values, its labels, or the hour of day of its times.

Numbers with at most ``FEW`` distinct values are compared as labels, because ties cost the KS test
its power. Calendar time always passes, so only the hour of day of a time can drift, and the numbers
``derived`` from it. Free text is compared by derived numbers only.
"""

Role = Literal["input", "answer", "target"]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One column, or numbers ``derived`` from it, with ``present`` values in ``rows`` rows.

    ``labels`` are the most frequent labels, ``counts`` their counts and, last, that of all others.
    If there are more than ``MAX_LABELS``, every other row selects them and the remaining rows count
    them. ``values`` are sorted: all of them or, beyond ``MAX_VALUES``, that many evenly spaced
    order statistics, which changes a KS distance by at most ``1 / MAX_VALUES``. ``deviation`` is
    their standard deviation, 0 without values.

    ``taus`` are design effects. It has one column for each of the reference's window sizes (none if
    the rows are not in time order) and rows for the values, the missing values, the violations and,
    for numbers, each of the ``moments``.

    ``kind`` is the type of the column, ``ends`` are the smallest and the largest value, ``known``
    the sorted hashes of all labels (if there are more than ``labels``) or of the vocabulary, and
    ``usual`` is the rate of unseen or out-of-range values without drift. Files before format 3 lack
    all four.
    """

    name: str
    column: str
    measure: Measure
    numeric: bool
    rows: int
    present: int
    labels: tuple[str, ...] = ()
    counts: np.ndarray
    values: np.ndarray
    taus: np.ndarray
    deviation: float = 0.0
    role: Role = "input"
    derived: Way | None = None
    kind: Kind | None = None
    ends: np.ndarray = NO_ENDS
    known: np.ndarray = NO_HASHES
    usual: Usual | None = None

    @property
    def typed(self) -> Kind | None:
        """The type of the column; files before format 3 tell that of numbers and times only."""
        if self.kind is not None:
            return self.kind
        return "number" if self.numeric else "datetime" if self.measure == "hour" else None

    @property
    def watched(self) -> tuple[ViolationKind, ...]:
        """The violations that can be tested; predictions and actual values have none."""
        if self.derived is not None or self.role != "input":
            return ()
        found: list[ViolationKind] = ["type"] if self.typed else []
        if self.usual is not None:
            found.append("range" if self.measure == "number" else "unseen")
        return tuple(found)


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """All columns of a table of ``rows`` rows.

    ``sizes`` are the window sizes at which design effects were measured. ``span_s`` is the time
    from the first row to the last, if that is known. ``rate`` are the rows per second of the rows
    that the design effects were measured on, if these were others.
    """

    rows: int
    columns: tuple[Profile, ...]
    sizes: tuple[int, ...] = ()
    span_s: float | None = None
    rate: float | None = None

    def of_target(self) -> "Reference":
        """Return the reference of the actual values only; versions of older releases have none."""
        kept = tuple(profile for profile in self.columns if profile.role == "target")
        return msgspec.structs.replace(self, columns=kept)

    def of_requests(self) -> "Reference":
        """Return the reference of inputs and predictions: what is known without an actual."""
        kept = tuple(profile for profile in self.columns if profile.role != "target")
        return msgspec.structs.replace(self, columns=kept)
