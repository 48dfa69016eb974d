"""A fitted estimator made fast and safe to ask: compiled forms, threads, the users' own modules.

Fitting is ``training``.
"""
