"""``/openapi.json``: the description of every route, with the inputs and outputs of the models.

The routes themselves are in ``routes`` and ``protocols``.
"""
