"""The path and the query of a request, whatever its Host header is.

`Request.url` raises `ValueError` for hosts that no URL can have, such as `[`.
"""

from starlette.requests import HTTPConnection


def query_of(request: HTTPConnection) -> str:
    """Return the query string, without the question mark."""
    query: bytes = request.scope["query_string"]
    return query.decode("latin-1")


def path_of(request: HTTPConnection) -> str:
    """Return the path, without percent encoding."""
    path: str = request.scope["path"]
    return path


def target_of(request: HTTPConnection) -> str:
    """Return the path and the query, with a question mark between them."""
    return f"{path_of(request)}?{query_of(request)}"
