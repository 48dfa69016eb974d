"""The whole machine-learning feedback loop for a small team on one machine."""

__version__ = "0.2.0"
