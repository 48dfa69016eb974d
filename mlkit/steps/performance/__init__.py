"""How good answers were, and what they will turn out to be: metrics, intervals, estimates, causes.

Whether inputs moved is ``drift``.
"""
