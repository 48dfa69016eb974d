"""Fast and deterministic prediction: compiled estimators, threads, the user's own modules.

Fitting is in ``training``.
"""
