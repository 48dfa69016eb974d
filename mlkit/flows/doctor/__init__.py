"""The checks of ``mlkit doctor``: one module for each kind, ``checkup`` runs them all.

They report and fix nothing: each finding names the command that fixes it.
"""
