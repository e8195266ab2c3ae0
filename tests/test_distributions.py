"""What the two distributions, of the server and of the client, contain."""

import re
from importlib import metadata

import distil_stream_client

SERVER, CLIENT = "distil-stream", "distil-stream-client"


def test_both_have_one_version() -> None:
    assert metadata.version(SERVER) == metadata.version(CLIENT) == distil_stream_client.__version__


def test_the_server_depends_on_the_client() -> None:
    requirements = metadata.requires(SERVER) or []
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}
    assert CLIENT in names


def test_the_client_depends_on_websockets_alone() -> None:
    (requirement,) = metadata.requires(CLIENT) or []
    assert requirement.startswith("websockets")
