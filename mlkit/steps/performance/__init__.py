"""The loss of predictions, measured or estimated: metrics, intervals, tests, causes.

Whether inputs have drifted is ``drift``.
"""
