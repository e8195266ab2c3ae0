"""What the port answers to plain HTTP, and whom it lets open a websocket."""

import json

import pytest
from websockets.exceptions import InvalidStatus

from stream.server.http import page
from tests.server.serving import client, get, receive, serving, until


async def test_the_page_and_all_that_it_asks_for() -> None:
    async with serving() as server:
        status, headers, html = await get(server, "/")
        assert status == 200
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "<script" in html
        for path, (content_type, content) in page.page_assets().items():
            status, headers, _ = await get(server, path)
            assert (status, headers["content-type"]) == (200, content_type)
            assert int(headers["content-length"]) == len(content)


async def test_health_and_metrics() -> None:
    async with serving() as server:
        status, _, body = await get(server, "/healthz")
        assert (status, body) == (200, "ok\n")
        status, _, body = await get(server, "/readyz?verbose")
        assert (status, body) == (200, "ready\n")
        status, headers, body = await get(server, "/metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "distil_stream_ready 1.0" in body


async def test_the_controls_of_the_page() -> None:
    async with serving() as server:
        status, headers, body = await get(server, "/v1/info")
        assert (status, headers["content-type"]) == (200, "application/json")
        assert json.loads(body) == {
            "protocol": 1,
            "model": "scripted",
            "models": ["scripted"],
            "languages": ["en"],
        }


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/v1", "/v1/stream/", "/../pyproject.toml", "/%2e%2e/pyproject.toml", "//", "//["],
)
async def test_there_is_nothing_else(path: str) -> None:
    async with serving() as server:
        status, _, _ = await get(server, path)
        assert status == 404


async def test_a_websocket_at_another_path() -> None:
    async with serving() as server:
        with pytest.raises(InvalidStatus) as refused:
            await client(server, path="v2/stream")
        assert refused.value.response.status_code == 404


async def test_a_stream_without_a_websocket() -> None:
    async with serving() as server:
        status, headers, _ = await get(server, "/v1/stream")
        assert (status, headers["upgrade"]) == (426, "websocket")


async def test_a_page_can_query_why_its_websocket_is_refused() -> None:
    ours, theirs = "Origin: https://captions.example", "Origin: https://evil.example"
    config = {"max_sessions": 1, "api_key": "k", "allow_origin": ("https://captions.example:443",)}
    async with serving(**config) as server:
        status, headers, _ = await get(server, "/v1/stream?token=k", ours)
        assert status == 426
        assert headers["access-control-allow-origin"] == "https://captions.example"
        assert (await get(server, "/v1/stream?token=k", theirs))[0] == 403
        assert (await get(server, "/v1/stream", ours))[0] == 401
        async with client(server, "token=k"):
            status, headers, body = await get(server, "/v1/stream?token=k", ours)
            assert (status, body) == (503, "The server is full; try again later.\n")
            assert headers["access-control-allow-origin"] == "https://captions.example"


@pytest.mark.parametrize(("offered", "chosen"), [(["stream.v1"], "stream.v1"), (["x"], None)])
async def test_the_subprotocol_is_optional(offered: list[str], chosen: str | None) -> None:
    async with serving() as server, client(server, subprotocols=offered) as websocket:
        assert websocket.subprotocol == chosen


async def test_one_more_than_there_is_room_for() -> None:
    async with serving(max_sessions=1) as server:
        async with client(server):
            await until(lambda: len(server.state.streams) == 1)
            with pytest.raises(InvalidStatus) as refused:
                await client(server)
            assert refused.value.response.status_code == 503
        await server.state.streams.closed()
        async with client(server) as websocket:
            await websocket.send('{"type":"end"}')
            assert (await receive(websocket))[-1]["type"] == "ended"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("origin", "allowed", "let_in"),
    [
        (None, (), True),
        ("http://{host}", (), True),
        ("http://evil.example", (), False),
        ("null", (), False),
        ("http://[", (), False),
        ("https://good.example", ("https://good.example",), True),
        ("https://good.example.evil", ("https://good.example",), False),
        ("http://anything.example", ("*",), True),
    ],
)
async def test_pages_of_other_origins(
    origin: str | None, allowed: tuple[str, ...], let_in: bool
) -> None:
    async with serving(allow_origin=allowed) as server:
        host = server.address.removeprefix("http://").rstrip("/")
        attempt = client(server, origin=origin and origin.format(host=host))
        if let_in:
            async with attempt:
                return
        with pytest.raises(InvalidStatus) as refused:
            await attempt
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("query", "headers", "let_in"),
    [
        ("token=secret", {}, True),
        ("", {"Authorization": "Bearer secret"}, True),
        ("", {"Authorization": "bearer secret"}, True),
        ("", {}, False),
        ("token=", {}, False),
        ("token=Secret", {}, False),
        ("token=sécret", {}, False),
        ("", {"Authorization": "Basic secret"}, False),
    ],
)
async def test_the_key(query: str, headers: dict[str, str], let_in: bool) -> None:
    async with serving(api_key="secret") as server:
        attempt = client(server, query, additional_headers=headers)
        if let_in:
            async with attempt as websocket:
                await websocket.send('{"type":"end"}')
                assert (await receive(websocket))[-1]["type"] == "ended"
        else:
            with pytest.raises(InvalidStatus) as refused:
                await attempt
            response = refused.value.response
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer ")
        assert (await get(server, "/healthz"))[0] == 200
