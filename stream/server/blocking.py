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
"""Name of the threads that are started here."""


async def run_blocking(function: Callable[[], T]) -> T:
    """Run a function on a new thread, and wait for it without blocking the event loop.

    Returns the function's result, or raises its exception. The thread is a daemon, so a function
    that hangs does not prevent the process from ending.
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
        with suppress(RuntimeError):  # the event loop is closed, so nothing waits for the result
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=NAME, daemon=True).start()
    return await outcome


def exit_now_if_threads_run(status: int) -> None:
    """End the process at once with this exit status if a thread of `run_blocking` still runs.

    Such a thread may load a model for minutes. Python cannot end in the usual way during that time:
    native code that still runs after the interpreter has been finalised aborts the process.
    """
    if all(thread.name != NAME for thread in threading.enumerate()):
        return
    logging.shutdown()
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the pipe is closed at the other end
            output.flush()
    os._exit(status)
