"""Calculations on values, in a folder for each subject: statistics, types, rules, models.

They read the files they are given and nothing else: no database, no project, no clock.
"""
