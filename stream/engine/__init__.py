"""Models and batching: windows in, hypotheses out."""

import os

# OpenMP's threads spin while they wait for each other. Beside anything else that wants the cores
# (a browser, a second server) the spinning takes the time of the thread that is waited for: with
# load on two cores, decoding was 5 to 10 times slower. OpenMP reads this once, when torch loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
