"""Tables larger than memory: types and casts, hashes, duplicates, counts, changes between two.

Nothing here knows what the rows mean.
"""
