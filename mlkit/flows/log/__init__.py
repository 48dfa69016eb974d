"""The prediction log: import from journals, actuals, reading by window, sealing, pruning.

Its evaluation is in ``monitoring``.
"""
