"""The checks of ``mlkit doctor``: one module for each kind, ``checkup`` runs them all.

They report and change nothing; mending is the command that a check names.
"""
