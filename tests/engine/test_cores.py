import os

import pytest
import torch
from threadpoolctl import threadpool_info

from stream.engine import cores
from stream.engine.cores import SharedCores, calm_blas, cpu_quota, usable_cores, whole_cores


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
    usable = usable_cores(tmp_path)
    assert 1 <= usable <= (os.cpu_count() or 1)
    if quota is not None:
        assert usable <= max(1, quota + 1)


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/\n", {}, None),
        ("0::/system.slice/captions.service\n", {}, None),
        # What systemd makes of CPUQuota=50%.
        ("0::/system.slice/captions.service\n", {"system.slice/captions.service": 0.5}, 0.5),
        ("0::/a.slice/b.service\n", {"a.slice": 1.5, "a.slice/b.service": 2.0}, 1.5),
        ("0::/a.slice/b.service\n", {"a.slice/other.service": 0.5}, None),
        # A container that sees the path that its host knows it by.
        ("0::/docker/0123456789ab\n", {".": 0.5}, 0.5),
        ("5:memory:/a\n4:cpu,cpuacct:/a\n0::/\n", {"cpu/a": 0.5, "memory/a": 0.1}, 0.5),
    ],
)
def test_the_quota_of_the_cgroup_that_the_process_is_in(tmp_path, own, files, quota):
    (tmp_path / "own").write_text(own)
    for name, cores_allowed in files.items():
        folder = tmp_path / "cgroup" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(f"{round(cores_allowed * 100_000)} 100000\n")
    assert cpu_quota(tmp_path / "cgroup", tmp_path / "own") == quota


def test_smt_siblings_are_one_core(tmp_path):
    for cpu, siblings in enumerate(["0,4", "1,5", "2,6", "3,7"] * 2):
        (tmp_path / f"cpu{cpu}/topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}/topology/thread_siblings_list").write_text(f"{siblings}\n")
    assert whole_cores(range(8), tmp_path) == 4
    assert whole_cores({0, 4}, tmp_path) == 1
    assert whole_cores({0, 1, 5}, tmp_path) == 2
    assert whole_cores({0, 8, 9}, tmp_path) == 3  # of the last two nothing is known


@pytest.mark.parametrize(
    ("quota", "whole", "equivalents"), [(None, 4, 4), (0.5, 4, 0.5), (6.0, 4, 4), (1.5, 1, 1)]
)
def test_neither_a_quota_nor_siblings_make_more_cores_than_there_are(
    monkeypatch, quota, whole, equivalents
):
    monkeypatch.setattr(cores, "cpu_quota", lambda folder: quota)
    monkeypatch.setattr(cores, "whole_cores", lambda cpus: whole)
    assert cores.core_equivalents() == equivalents


def test_half_a_core_computes_on_one_thread(tmp_path):
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cores(tmp_path) == 1


def test_a_batch_computes_on_the_cores_that_are_free_and_a_partial_on_one():
    before = torch.get_num_threads()
    shared = SharedCores(4)
    try:
        with shared.share(urgent=True):
            assert torch.get_num_threads() == 4
            with shared.share(urgent=True):
                assert torch.get_num_threads() == 2
                with shared.share(urgent=False):
                    assert torch.get_num_threads() == 1
                    with shared.share(urgent=True):
                        assert torch.get_num_threads() == 1
        with shared.share(urgent=True):
            assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_numpy_multiplies_on_one_thread():
    calm_blas()
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert pools
    assert all(pool["num_threads"] == 1 for pool in pools)
