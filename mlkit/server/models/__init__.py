"""The versions a server holds: loaded, checked, swapped when promoted, asked in batches.

Reading requests is ``protocols``.
"""
