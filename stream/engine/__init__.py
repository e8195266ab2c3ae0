"""Models and batching: windows in, hypotheses out."""

import os

# OpenMP's threads spin while they wait for each other. If other processes need the cores (a
# browser, a second server), the spinning takes the time of the thread that is waited for: with load
# on two cores, decoding was 5 to 10 times slower. OpenMP reads this once, when torch loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# oneDNN, and PyTorch's cache before it, store 1024 compiled kernels each, one for every shape, and
# windows have all lengths: without a limit a process grows by hundreds of megabytes in its first
# half hour, and kernels are reused too seldom to repay that.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
os.environ.setdefault("LRU_CACHE_CAPACITY", "32")
