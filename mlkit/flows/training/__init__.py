"""From a dataset version to a registered candidate: rows, fitting, the gate, retraining.

Promotion is ``registry.deploy``.
"""
