"""Feature views: declared in ``features.py``, joined as of a time, materialized, read online.

Plain columns of one dataset need none of this (``data``).
"""
