"""Runs blocking functions outside the event loop, and ends a process in which one still runs."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

NAME = "in_thread"
"""Of the threads that are started here."""


async def run_blocking(function: Callable[[], T]) -> T:
    """Return what a function returns, or raise what it raises, after running it on a thread.

    The thread is a daemon: a function that hangs does not keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.cancelled():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result, error = function(), None
        except BaseException as raised:
            result, error = None, raised
        with suppress(RuntimeError):  # the event loop is closed, and nothing waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=NAME, daemon=True).start()
    return await outcome


def exit_now_if_threads_run(status: int) -> None:
    """End the process with this exit status if a thread of `in_thread` still runs.

    Such a thread may load a model for minutes. Python cannot end in the usual way meanwhile: native
    code that runs when the interpreter is gone aborts the process.
    """
    if all(thread.name != NAME for thread in threading.enumerate()):
        return
    logging.shutdown()
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a pipe whose reader is gone
            output.flush()
    os._exit(status)
