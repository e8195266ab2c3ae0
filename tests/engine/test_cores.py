import os

import pytest
import torch
from threadpoolctl import threadpool_info

from stream.engine.cores import SharedCores, calm_blas, cpu_quota, usable_cores


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
    ],
)
def test_the_quota_of_either_version_of_cgroups(tmp_path, files, quota):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cpu_quota(tmp_path) == quota
    cores = usable_cores(tmp_path)
    assert 1 <= cores <= (os.cpu_count() or 1)
    if quota is not None:
        assert cores <= max(1, quota + 1)


def test_a_batch_computes_on_the_cores_that_are_free_and_a_partial_on_one():
    before = torch.get_num_threads()
    cores = SharedCores(4)
    try:
        with cores.share(urgent=True):
            assert torch.get_num_threads() == 4
            with cores.share(urgent=True):
                assert torch.get_num_threads() == 2
                with cores.share(urgent=False):
                    assert torch.get_num_threads() == 1
                    with cores.share(urgent=True):
                        assert torch.get_num_threads() == 1
        with cores.share(urgent=True):
            assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_numpy_multiplies_on_one_thread():
    calm_blas()
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert pools
    assert all(pool["num_threads"] == 1 for pool in pools)
