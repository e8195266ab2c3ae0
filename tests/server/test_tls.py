"""TLS of the server's own, and its renewal."""

import ssl
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.client import connect

from stream.errors import UsageError
from stream.server.tls import Certificate, certificate_of
from tests.server.serving import receive, serving


def write(authority: trustme.CA, folder: Path) -> tuple[Path, Path]:
    """Write a new certificate and its key to files."""
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(folder / "cert.pem", append=number > 0)
    return folder / "cert.pem", folder / "key.pem"


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def serial_of(address: str, context: ssl.SSLContext) -> object:
    """Stream over TLS; return the serial number of the certificate that the server has shown."""
    async with connect(f"{address}v1/stream", ssl=context, compression=None) as websocket:
        await websocket.send(bytes(32_000))
        await websocket.send('{"type":"end"}')
        assert (await receive(websocket))[-1]["type"] == "ended"
        shown = websocket.transport.get_extra_info("ssl_object").getpeercert()
        return shown["serialNumber"]


async def test_a_renewed_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    authority = trustme.CA()
    cert, key = write(authority, tmp_path)
    async with serving(tls_cert=cert, tls_key=key) as server:
        assert server.address.startswith("https://")
        address, context = server.address.replace("https", "wss"), trusting(authority)
        first = await serial_of(address, context)
        assert server.certificate
        assert not server.certificate.reload_if_changed()
        write(authority, tmp_path)
        assert server.certificate.reload_if_changed()
        assert await serial_of(address, context) != first


def test_half_a_renewal_changes_nothing(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = Certificate(*write(authority, tmp_path))
    (tmp_path / "new").mkdir()
    cert, key = write(authority, tmp_path / "new")
    cert.replace(tmp_path / "cert.pem")
    assert not certificate.reload_if_changed()
    key.replace(tmp_path / "key.pem")
    assert certificate.reload_if_changed()


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    cert, key = write(trustme.CA(), tmp_path)
    (tmp_path / "other").mkdir()
    _, other = write(trustme.CA(), tmp_path / "other")
    for one, another in ((cert, other), (key, cert), (cert, tmp_path / "none.pem")):
        with pytest.raises(UsageError, match="cannot be used"):
            Certificate(one, another)
    for pair in ((cert, None), (None, key)):
        with pytest.raises(UsageError, match="belong together"):
            certificate_of(*pair)
    assert certificate_of(None, None) is None
