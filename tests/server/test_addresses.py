"""Names of the host, addresses of clients behind proxies, and what other machines can reach."""

import asyncio
import logging

import pytest

from stream.config import ServerConfig
from stream.errors import UsageError
from stream.protocols.protocol_table import PROTOCOLS
from stream.server.addresses import client_of, forwarded_base, host_allowed, is_loopback, within
from stream.server.addresses import networks as networks_of
from stream.server.app import Server
from stream.server.endpoints import Endpoints
from stream.server.exposure import check_exposure
from tests.server.serving import get, serving


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:8765", True),
        ("LOCALHOST.", True),
        ("127.0.0.1:8765", True),
        ("192.168.1.7", True),
        ("[::1]:8765", True),
        ("calls.example", True),
        ("Captions.Example:443", True),
        ("xn--bcher-kva.example", True),
        ("evil.example", False),
        ("captions.example.evil.example", False),
        ("localhost.evil.example", False),
        ("user@localhost", False),
        ("localhost/x", False),
        ("127.0.0.1.evil.example", False),
        ("localhost:x", False),
        ("", False),
    ],
)
def test_names_of_the_host(host: str, allowed: bool) -> None:
    config = ServerConfig(
        public_url="wss://calls.example:8443", allow_host=("captions.example", "bücher.example")
    )
    assert host_allowed([("Host", host)], "/", config) == allowed
    assert host_allowed([("Host", host)], "/healthz", config)
    assert host_allowed([("Host", host)], "/v1/stream", ServerConfig(allow_host=("*",)))


def test_a_host_that_is_missing_or_there_twice() -> None:
    assert not host_allowed([], "/", ServerConfig())
    twice = [("Host", "localhost"), ("Host", "evil.example")]
    assert not host_allowed(twice, "/", ServerConfig())


async def test_rebinding_gets_421_and_probes_an_answer() -> None:
    async with serving() as server:
        for path in ("/", "/v1/rooms", "/v1/info", "/v1/stream", "/nothing"):
            status, _, body = await ask_as(server, path, "evil.example")
            assert (status, "--allow-host" in body) == (421, True)
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await ask_as(server, path, "probe.cluster.local"))[0] == 200
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        assert (await ask_as(server, "/v1/stream", "evil.example", *upgrade, key))[0] == 421
        assert (await get(server, "/v1/info"))[0] == 200


async def ask_as(server: Server, path: str, host: str, *headers: str) -> tuple[int, str, str]:
    """GET a path under a name of the host."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.door.port)
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(headers or ["Connection: close"]), "", ""]
    writer.write("\r\n".join(lines).encode())
    content = (await asyncio.wait_for(reader.read(), 20)).decode()
    writer.close()
    head, _, body = content.partition("\r\n\r\n")
    return int(head.split()[1]), head, body


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        ([], "10.0.0.1"),
        ([("X-Forwarded-For", "203.0.113.5")], "203.0.113.5"),
        ([("X-Forwarded-For", "1.2.3.4, 203.0.113.5")], "203.0.113.5"),
        ([("X-Forwarded-For", "1.2.3.4, 203.0.113.5, 10.0.0.9")], "203.0.113.5"),
        ([("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "203.0.113.5")], "203.0.113.5"),
        ([("Forwarded", "for=203.0.113.5;proto=https, for=10.0.0.9")], "203.0.113.5"),
        ([("Forwarded", 'for="[2001:db8::1]:4711"')], "2001:db8::1"),
        ([("Forwarded", "for=203.0.113.5"), ("X-Forwarded-For", "1.2.3.4")], "203.0.113.5"),
        ([("X-Forwarded-For", "203.0.113.5:4711")], "203.0.113.5"),
        ([("Forwarded", "for=_hidden")], "_hidden"),
    ],
)
def test_the_address_of_a_client(fields: list[tuple[str, str]], client: str) -> None:
    config = ServerConfig(trust_proxy=("10.0.0.0/8",))
    assert client_of("10.0.0.1", fields, config) == client
    assert client_of("192.0.2.1", fields, config) == "192.0.2.1"
    assert client_of("10.0.0.1", fields, ServerConfig()) == "10.0.0.1"


def test_the_url_of_a_client() -> None:
    config = ServerConfig(trust_proxy=("10.0.0.1",))
    x = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example, calls.example")]
    forwarded = [("Forwarded", "for=1.2.3.4;host=calls.example;proto=https")]
    for fields in (x, forwarded):
        assert forwarded_base("10.0.0.1", fields, config) == ("https", "calls.example")
        assert forwarded_base("10.0.0.2", fields, config) is None
    assert forwarded_base("10.0.0.1", x[:1], config) is None


def test_networks() -> None:
    allowed = networks_of(("10.0.0.7", "2001:db8::/32"))
    assert within("10.0.0.7", allowed)
    assert within("::ffff:10.0.0.7", allowed)
    assert within("2001:db8::9", allowed)
    assert not within("10.0.0.8", allowed)
    assert not within("a local socket", allowed)
    for field in ("trust_proxy", "audiosocket_allow", "wyoming_allow"):
        with pytest.raises(UsageError, match=f"{field} is 'proxy'"):
            ServerConfig(**{field: ("proxy",)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True),
        ("localhost", True), ("0.0.0.0", False), ("::", False), ("", False),
        ("192.168.1.7", False), ("captions.example", False),
    ],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def exposed(config: ServerConfig, key: bool) -> None:
    check_exposure(config, Endpoints(PROTOCOLS, config).ports, key)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", ""])
def test_beyond_loopback_only_with_a_key_or_for_anyone(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(UsageError, match=r"there is no key.*DISTIL_STREAM_API_KEY.*allow-anyone"):
        exposed(ServerConfig(host=host), False)
    exposed(ServerConfig(host=host), True)
    assert "/metrics" in caplog.text
    assert "not encrypted" in caplog.text
    exposed(ServerConfig(host=host, allow_anyone=True), False)
    assert "there is no key" in caplog.text
    caplog.clear()
    exposed(ServerConfig(), False)
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["audiosocket", "wyoming"])
def test_ports_without_keys_stay_on_loopback_or_name_their_clients(name: str) -> None:
    port = {f"{name}_port": 9, "host": "0.0.0.0"}
    exposed(ServerConfig(**port), True)  # type: ignore[arg-type]
    open_port = port | {f"{name}_host": "0.0.0.0"}
    with pytest.raises(UsageError, match=f"--{name}-port.*--{name}-allow"):
        exposed(ServerConfig(**open_port), True)  # type: ignore[arg-type]
    exposed(ServerConfig(**open_port, allow_anyone=True), True)  # type: ignore[arg-type]
    allowed = open_port | {f"{name}_allow": ("10.0.0.7",)}
    exposed(ServerConfig(**allowed), True)  # type: ignore[arg-type]


@pytest.mark.parametrize(("allowed", "answered"), [("127.0.0.1", True), ("10.0.0.7", False)])
async def test_a_call_from_an_address_that_is_not_allowed(allowed: str, answered: bool) -> None:
    async with serving(audiosocket_port=0, audiosocket_allow=(allowed,)) as server:
        port = server.own_port("--audiosocket-port")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if answered:
            writer.write(b"\x01\x00\x10" + bytes(16) + b"\x10\x00\x02ab")
            async with asyncio.timeout(20):
                while not len(server.state.streams):  # noqa: ASYNC110
                    await asyncio.sleep(0)
        else:
            assert await asyncio.wait_for(reader.read(), 20) == b""
            assert len(server.state.streams) == 0
        writer.close()
