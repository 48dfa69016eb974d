"""Feature views as calculations: their columns, joins as of a time, skew, digests of code.

Where the rows come from and go to is ``flows.features``.
"""
