"""Whether a column, a pair of columns, or a table has moved away from a reference, and when.

All from the sketch of a reference to the verdict. The loss of answers is ``performance``.
"""
