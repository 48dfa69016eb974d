"""The prediction log: imported from journals, joined with actuals, read by window, sealed, pruned.

Judging what is in it is ``monitoring``.
"""
