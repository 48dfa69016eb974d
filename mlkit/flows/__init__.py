"""The acts of the loop, in a folder for each stage: the only place that joins steps and store.

What a command, a job or a route does is a function here, with the project as its first argument.
No statistics (``steps``), no printing (``cli``), no HTTP (``server``).
"""
