"""What Ctrl-C does: it ends every command at once, with the exit code that shells use, and without a traceback."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["INTERRUPTED", "accept_interrupts", "clean_up_on_interrupt", "delay_interrupts", "end_on_interrupt"]

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count

_clean_ups: list[Callable[[], object]] = []


@contextmanager
def accept_interrupts() -> Iterator[None]:
    """Let Ctrl-C end a command that has no other end, even if SIGINT was ignored when it started.

    A shell without job control has background jobs ignore SIGINT. For work that ends by itself that is what the user
    wants, and it stays so; a command that runs until Ctrl-C could not be ended cleanly.
    """
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler or signal.SIG_DFL)


@contextmanager
def clean_up_on_interrupt(clean_up: Callable[[], object]) -> Iterator[None]:
    """Have `end_on_interrupt` call a function before it ends the process, the latest one first."""
    _clean_ups.append(clean_up)
    try:
        yield
    finally:
        _clean_ups.remove(clean_up)


@contextmanager
def delay_interrupts() -> Iterator[None]:
    """Let Ctrl-C wait until the end of a block that must not stop halfway, and that takes a moment only."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def end_on_interrupt(*clean_up: Callable[[], object]) -> Iterator[None]:
    """End the process at Ctrl-C during an import: torch's takes an exception for a failed experiment and goes on.

    Args:
        clean_up: functions to call before the end, such as those that end other processes.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler:  # interrupts are ignored, as in background jobs, or handled
        yield
        return

    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for function in (*clean_up, *reversed(_clean_ups)):
            with suppress(Exception):
                function()
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
