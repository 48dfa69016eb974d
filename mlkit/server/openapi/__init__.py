"""``/openapi.json``: every route of a server, with the inputs and outputs of its models.

The routes themselves are ``routes`` and ``protocols``.
"""
