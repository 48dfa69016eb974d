"""The model versions of a server: loaded, checked, swapped after a promotion, asked in batches.

Decoding requests is the task of ``protocols``.
"""
