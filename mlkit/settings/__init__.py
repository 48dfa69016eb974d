"""Settings: their table, what values may be, and where they come from.

Secrets are read where they are used, and kept nowhere.
"""
