"""From a dataset version to a registered candidate: rows, fitting, the gate, retraining.

Putting a version into service is ``registry.deploy``.
"""
