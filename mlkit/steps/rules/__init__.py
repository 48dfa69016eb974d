"""The rules of a dataset: inferred, written as YAML, compiled, checked, loosened; what breaks them.

Oddities that no rule forbids are ``quality``.
"""
