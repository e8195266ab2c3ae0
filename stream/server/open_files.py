"""Streams and readers are open files, and many systems let a process open no more than 1024."""

import logging
import sys

BESIDE = 100
"""Open files of a process besides its streams."""

log = logging.getLogger(__name__)


def allow_streams(streams: int) -> None:
    """Raise the limit of open files for so many streams, here and in processes started later."""
    if sys.platform == "win32":
        return
    import resource

    wanted = streams + BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    highest = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    if highest < wanted:
        log.warning(
            "%d streams and readers need %d open files, and %d are allowed; see ulimit -n",
            streams, wanted, highest,
        )  # fmt: skip
