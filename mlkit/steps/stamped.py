"""A dataset file that names its version, for where two versions have the same rows left."""

from pathlib import Path

import pyarrow.parquet as pq

from mlkit.steps import frames
from mlkit.steps.tabular import Tabular


def write(table: Tabular, path: Path, stamp: str | None) -> None:
    """Write the canonical file, or with a ``stamp`` one that has it in its own metadata.

    The same rows and the same stamp give the same bytes.
    """
    if stamp is None:
        frames.write_parquet(table, path)
        return
    plain = table.select(table.column_names).replace_schema_metadata(None).combine_chunks()
    with pq.ParquetWriter(
        path, plain.schema, compression="zstd", compression_level=3, store_schema=False
    ) as writer:
        writer.write_table(plain)
        writer.add_key_value_metadata({"mlkit": stamp})
