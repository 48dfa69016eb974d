"""What is kept of a table and its columns for a later drift check. Nothing is computed here."""

from typing import Final, Literal

import msgspec
import numpy as np

from mlkit.steps.drift.derived import Way
from mlkit.steps.drift.result import ViolationKind
from mlkit.steps.drift.violations import Usual
from mlkit.steps.inputs.columns import Kind

MAX_VALUES: Final = 100_000
MAX_KNOWN: Final = 100_000  # labels whose hashes are kept: of more, new ones are no news
MAX_LABELS: Final = 254  # as many as ``encode`` tells apart
FEW: Final = 20
NO_HASHES: Final = np.zeros(0, dtype=np.uint32)
NO_ENDS: Final = np.zeros(0)

Measure = Literal["number", "label", "hour", "text"]
"""How a column is compared: by its sorted values, its labels, or the hour of day of its times.

Numbers with at most ``FEW`` distinct values are labels: ties make a KS test blind. Calendar time
always passes, so of a time only the hour of day can drift, and what is ``derived`` from it. Free
text is compared by what is derived from it alone.
"""

Role = Literal["input", "answer", "target"]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One column, or what is ``derived`` from it: ``present`` values of ``rows`` rows.

    ``labels`` are the most frequent ones, ``counts`` theirs and, last, that of all others. Where
    there are more than ``MAX_LABELS``, every other row chooses them and the rest counts.
    ``values`` are sorted: all of them, or, beyond ``MAX_VALUES``, that many order statistics at
    even steps, which move a KS distance by at most ``1 / MAX_VALUES``. ``taus`` has one column for
    each of the reference's window sizes, none if the rows are in no order: how many rows are worth
    one, of values, of gaps, of violations, and one row for each of the ``moments`` of numbers.
    ``deviation`` is the standard deviation of ``values``, 0 without any.

    ``kind`` is the type of the column, ``ends`` the smallest and the largest value, ``known`` the
    sorted hashes of all labels, where there are more than ``labels`` tells, or of the vocabulary,
    and ``usual`` how often a value is unseen or out of range: all of them unknown before format 3.
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
        """The type of the column; before format 3 it is known of numbers and times alone."""
        if self.kind is not None:
            return self.kind
        return "number" if self.numeric else "datetime" if self.measure == "hour" else None

    @property
    def watched(self) -> tuple[ViolationKind, ...]:
        """The violations that can be looked for: a model's own answers are none of them."""
        if self.derived is not None or self.role != "input":
            return ()
        found: list[ViolationKind] = ["type"] if self.typed else []
        if self.usual is not None:
            found.append("range" if self.measure == "number" else "unseen")
        return tuple(found)


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """All columns of a table of ``rows`` rows; ``sizes`` are the windows that were looked at.

    ``span_s`` is the time from the first row to the last, if that is known. ``rate`` is how many
    rows a second had the windows that were looked at, if they were not of these rows.
    """

    rows: int
    columns: tuple[Profile, ...]
    sizes: tuple[int, ...] = ()
    span_s: float | None = None
    rate: float | None = None

    def of_target(self) -> "Reference":
        """Return the reference of the actual values alone; versions of old have none of it."""
        kept = tuple(profile for profile in self.columns if profile.role == "target")
        return msgspec.structs.replace(self, columns=kept)

    def of_requests(self) -> "Reference":
        """Return the reference of what is known once a request is answered."""
        kept = tuple(profile for profile in self.columns if profile.role != "target")
        return msgspec.structs.replace(self, columns=kept)
