"""Files and processes: blobs by digest, archives, locks, modes, owners, scratch folders.

Database tables have their files in ``store``; nothing here knows a table.
"""
