"""Files and processes: blobs by digest, archives, locks, modes, owners, scratch folders.

What is in a database is a file of its own in ``store``; nothing here knows a table.
"""
