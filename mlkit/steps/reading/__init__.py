"""From CSV, Parquet and query results to tables, with the row and column of what is wrong.

What is done with tables that are read is ``tables``.
"""
