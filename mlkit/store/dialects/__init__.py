"""What databases differ in, and what they say: URLs, errors, JSON, triggers, read-only disks.

The connection itself is ``engine``; nothing here knows a table.
"""
