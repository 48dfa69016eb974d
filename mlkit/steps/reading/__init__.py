"""Read CSV, Parquet and query results as tables; errors have row and column.

Operations on tables are in ``tables``.
"""
