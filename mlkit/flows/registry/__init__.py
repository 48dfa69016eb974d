"""Model versions: found, loaded, promoted and rolled back, with the code and libraries they need.

How a version is made is ``training``.
"""
