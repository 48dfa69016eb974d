"""Model versions: found, loaded, promoted and rolled back, with the code and libraries they need.

Making a version is in ``training``.
"""
