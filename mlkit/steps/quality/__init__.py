"""What a table looks like: profiles, and warnings about what is odd in it.

What a table must look like is ``rules``.
"""
