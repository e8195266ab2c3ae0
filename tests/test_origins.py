"""Web origins: one way to write each, and what is none."""

import pytest

from stream.origins import origin_of


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://Example.COM/", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        (" https://example.com:0443 ", "https://example.com"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://例え.テスト:8443", "https://xn--r8jz45g.xn--zckzah:8443"),
        ("http://[2001:DB8:0:0:0:0:0:1]", "http://[2001:db8::1]"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("Null", "null"),
    ],
)
def test_each_name_has_one_spelling(written: str, origin: str) -> None:
    assert origin_of(written) == origin
    assert origin_of(origin) == origin


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("example.com", "write the scheme too, as in https://example.com"),
        ("localhost:3000", "write the scheme too"),
        ("//example.com", "as in https://example.com"),
        ("", "write the scheme"),
        ("https://example.com/captions", "leave out what follows the host"),
        ("https://example.com?x=1", "so that it is https://example.com"),
        ("https://*.example.com", "write one host"),
        ("https://a.example,https://b.example", "not an origin"),
        ("https://ada@example.com", "write one host"),
        ("wss://example.com", "write https://example.com"),
        ("file:///home/ada/page.html", "not an origin"),
        ("https://example.com:99999", "port cannot be read"),
        ("https://[::1", "cannot be read"),
    ],
)
def test_requests_that_no_browser_sends(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"not an origin") as refused:
        origin_of(written)
    assert says in str(refused.value)
