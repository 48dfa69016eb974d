"""Operations on tables larger than memory: casts, hashes, duplicates, counts, row changes.

They do not depend on the meaning of the rows.
"""
