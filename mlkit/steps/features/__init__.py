"""Feature calculations: view columns, point-in-time joins, skew, code digests.

Reading and storing rows is in ``flows.features``.
"""
