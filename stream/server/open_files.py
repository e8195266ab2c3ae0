"""Raises the limit of open files: each stream and each reader of a room is an open file.

On many systems a process can open no more than 1024 by default.
"""

import logging
import sys

OTHER_FILES = 100
"""Number of open files of a process that are neither streams nor readers, with a reserve."""

log = logging.getLogger(__name__)


def allow_streams(streams: int) -> None:
    """Raise the limit so that this number of streams can be open.

    The limit applies to this process and to processes that it starts later. A warning is logged if
    the system does not allow as many.
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
