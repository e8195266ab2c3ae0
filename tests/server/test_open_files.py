"""A process may open as many files as it has streams."""

import resource
from collections.abc import Iterator

import pytest

from stream.server.open_files import OTHER_FILES, allow_streams


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    yield 512, before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_is_raised_and_never_lowered(limits: tuple[int, int]) -> None:
    allow_streams(10)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512
    allow_streams(600)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (600 + OTHER_FILES, limits[1])


def test_a_refusal_of_the_operating_system_is_reported(
    limits: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    if limits[1] == resource.RLIM_INFINITY:
        pytest.skip("there is no limit here")
    allow_streams(limits[1])
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == limits[1]
    assert "see ulimit -n" in caplog.text
