"""Models and batching: turns windows into hypotheses."""

import os

# By default OpenMP's threads spin while they wait for each other. If other processes need the cores
# (a browser, a second server), the spinning takes CPU time from the thread for which they wait: on
# two loaded cores, decoding was 5 to 10 times slower. OpenMP reads this once, when torch loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# oneDNN, and PyTorch's cache in front of it, store up to 1024 compiled kernels each, one for every
# shape, and windows have all lengths. Without a limit a process grows by hundreds of megabytes in
# its first half hour, and the kernels are not reused often enough to justify that.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
os.environ.setdefault("LRU_CACHE_CAPACITY", "32")
