"""Who may use the server, by the header fields and the query of a request."""

import pytest

from stream.config import ServerConfig
from stream.server import access


@pytest.mark.parametrize(("port", "let_in"), [(8765, True), (9000, False)])
def test_origins_compare_hosts_with_their_ports(port: int, let_in: bool) -> None:
    fields = [("Host", "Localhost:8765"), ("Origin", f"http://localhost:{port}")]
    assert access.origin_allowed(fields, ServerConfig()) == let_in


def test_of_a_repeated_header_the_last_counts() -> None:
    fields = [("Host", "a"), ("Origin", "http://a"), ("Origin", "http://evil.example")]
    assert not access.origin_allowed(fields, ServerConfig())
    fields = [("Authorization", "Bearer no"), ("Authorization", "Bearer secret")]
    assert access.authorised(fields, "", ServerConfig(api_key="secret"))


def test_a_query_keeps_repeated_fields() -> None:
    fields = access.query_fields("keyterms=a&keyterms=b&prompt=")
    assert fields == {"keyterms": ["a", "b"], "prompt": [""]}
