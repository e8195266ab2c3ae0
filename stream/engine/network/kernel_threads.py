"""The threads that share a kernel's work on an urgent window; compiled kernels hold no lock."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from stream.engine.cores import usable_cores


@cache
def pool() -> ThreadPoolExecutor:
    """Return the common pool of threads, one for each core."""
    return ThreadPoolExecutor(usable_cores(), thread_name_prefix="kernel")
