"""A server in its own process starts, is measured, and goes."""

import psutil
import pytest

from stream.errors import UsageError
from stream.evaluate.measures.cost import listening_pid, tree_cpu_s
from stream.evaluate.server_process import server_process


@pytest.mark.slow
def test_it_serves_until_the_end_of_the_block():
    with server_process("scripted", streams=100) as (url, pid):
        assert listening_pid(url) == pid
        assert sum(tree_cpu_s(pid).values()) > 0
    assert not psutil.pid_exists(pid)


@pytest.mark.slow
def test_a_server_that_cannot_start_prints_the_reason():
    with pytest.raises(UsageError, match="no-such-model"), server_process("no-such-model", 1):
        pass
