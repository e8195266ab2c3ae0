"""The version of the client and of the server, which are released together.

Both distributions read it from this file when they are built.
"""

__version__ = "0.2.0"
