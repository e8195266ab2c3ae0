"""The common version of client and server, which are released together.

The builds of both distributions read it from this file.
"""

__version__ = "0.2.0"
