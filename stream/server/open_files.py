"""Raises the limit of open files: each stream and each reader of a room is an open file.

Many systems let a process open no more than 1024.
"""

import logging
import sys

OTHER_FILES = 100
"""Open files of a process that are neither streams nor readers."""

log = logging.getLogger(__name__)


def allow_streams(streams: int) -> None:
    """Raise the limit so that `streams` can be open, here and in processes started later.

    Logs a warning if the system does not allow as many.
    """
    if sys.platform == "win32":
        return
    import resource

    wanted = streams + OTHER_FILES
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
