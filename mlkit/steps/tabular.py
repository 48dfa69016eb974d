"""A table that is looked at column by column, wherever its values are: in memory or on disk.

What checks, profiles and compares rows asks for no more than this, so that it costs the memory of
one column whatever the table weighs.
"""

from typing import Protocol

import pyarrow as pa


class Tabular(Protocol):
    """Rows in the five types of ``casts``; a ``pyarrow.Table`` is one."""

    @property
    def column_names(self) -> list[str]:
        """The names, in the order of the columns."""

    @property
    def num_rows(self) -> int:
        """How many rows there are."""

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the values of one column."""

    def select(self, names: list[str]) -> pa.Table:
        """Return the named columns, in that order, in memory."""
