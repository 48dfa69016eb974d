"""Where something comes from and what was made of it; versions made again from their record.

Reads what other rooms have written; records nothing itself.
"""
