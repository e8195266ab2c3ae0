"""Who may use the server, by the header fields and the query of a request."""

import pytest

from stream.config import ServerConfig
from stream.protocols.declarations import KeyPlaces
from stream.server import access


@pytest.mark.parametrize(("port", "let_in"), [(8765, True), (9000, False)])
def test_origins_compare_hosts_with_their_ports(port: int, let_in: bool) -> None:
    fields = [("Host", "Localhost:8765"), ("Origin", f"http://localhost:{port}")]
    assert access.origin_allowed(fields, ServerConfig()) == let_in


@pytest.mark.parametrize(
    ("allowed", "origin", "let_in"),
    [
        ("https://captions.example:443", "https://captions.example", True),
        ("HTTPS://Captions.Example/", "https://captions.example", True),
        ("http://localhost:80", "http://localhost", True),
        ("https://bücher.example", "https://xn--bcher-kva.example", True),
        ("http://[0:0::1]:3000", "http://[::1]:3000", True),
        ("chrome-extension://abcdef", "chrome-extension://abcdef", True),
        ("NULL", "null", True),
        ("*", "https://anything.example", True),
        ("https://captions.example", "http://captions.example", False),
        ("https://captions.example", "https://captions.example:8443", False),
        ("https://captions.example", "https://captions.example.evil.example", False),
        ("https://captions.example", "null", False),
        ("https://captions.example", "https://[broken", False),
    ],
)
def test_origins_are_the_same_however_they_are_written(
    allowed: str, origin: str, let_in: bool
) -> None:
    fields = [("Host", "127.0.0.1:8765"), ("Origin", origin)]
    config = ServerConfig(allow_origin=(allowed,))
    assert access.origin_allowed(fields, config) == let_in
    headers = access.cross_origin(fields, config)
    assert headers.get("Access-Control-Allow-Origin") == (origin if let_in else None)


@pytest.mark.parametrize(
    ("host", "origin", "let_in"),
    [
        ("captions.example:443", "https://captions.example", True),
        ("captions.example", "https://captions.example:443", True),
        ("captions.example:80", "http://Captions.example", True),
        ("captions.example:443", "http://captions.example", False),
        ("", "null", False),
        ("", "https://", False),
        ("captions.example", "ftp://captions.example", False),
    ],
)
def test_a_default_port_in_the_host_makes_no_difference(
    host: str, origin: str, let_in: bool
) -> None:
    fields = [("Host", host), ("Origin", origin)]
    assert access.origin_allowed(fields, ServerConfig()) == let_in


def test_the_last_of_repeated_headers_counts() -> None:
    fields = [("Host", "a"), ("Origin", "http://a"), ("Origin", "http://evil.example")]
    assert not access.origin_allowed(fields, ServerConfig())
    fields = [("Authorization", "Bearer no"), ("Authorization", "Bearer secret")]
    assert access.shown_key(fields, "", KeyPlaces()) == "secret"


def test_a_query_keeps_repeated_fields() -> None:
    fields = access.query_fields("keyterms=a&keyterms=b&prompt=")
    assert fields == {"keyterms": ["a", "b"], "prompt": [""]}


PLACES = KeyPlaces(
    headers=(("Authorization", "Token"), ("X-Key", "")),
    query_fields=("key", "k"),
    subprotocol_labels=("token",),
    subprotocol_prefixes=("key.",),
)


@pytest.mark.parametrize(
    ("fields", "query", "shown"),
    [
        ([], "", None),
        ([("authorization", "token abc")], "", "abc"),
        ([("Authorization", "Bearer abc")], "", None),
        ([("Authorization", "Token ")], "key=x", ""),
        ([("X-Key", "a b")], "", "a b"),
        ([("Authorization", "Bearer abc"), ("X-Key", "x")], "key=y", "x"),
        ([("Sec-WebSocket-Protocol", "token, abc")], "key=y", "abc"),
        ([("Sec-WebSocket-Protocol", "other"), ("Sec-WebSocket-Protocol", "key.abc")], "", "abc"),
        ([("Sec-WebSocket-Protocol", "token")], "", None),
        ([], "k=1&k=2", "2"),
        ([], "k=1&key=2", "2"),
    ],
)
def test_the_key_is_found_where_a_protocol_declares_it(
    fields: list[tuple[str, str]], query: str, shown: str | None
) -> None:
    assert access.shown_key(fields, query, PLACES) == shown


@pytest.mark.parametrize(
    ("places", "scheme"), [(KeyPlaces(), "Bearer"), (PLACES, "Token"), (None, "Bearer")]
)
def test_a_response_without_the_key_names_the_scheme(places: KeyPlaces | None, scheme: str) -> None:
    assert access.challenge(places) == {"WWW-Authenticate": f'{scheme} realm="distil-stream"'}
