"""Processes that are killed in the middle of a transaction."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from grader.service.settings import Settings
from grader.service.store.database import Store

MOST = 50  # statements of one transaction


def killed_before_each_statement(store: Store, settings: Settings, do: Callable[[Store], object]) -> Iterator[int]:
    """Do something in one process after the other, each killed before its first, second, ... statement or commit.

    Gives the number of statements that were done, after each death; ends after the process that was not killed. What is
    given leaves the store as it is: the next process is to find what the one before found.
    """
    for done in range(MOST):
        store.close()  # no process is to have another's connections
        if not _killed(settings, do, done):
            assert done > 0, "nothing was killed"
            return
        yield done
    raise AssertionError(f"more than {MOST} statements")


def _killed(settings: Settings, do: Callable[[Store], object], done: int) -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _kill_after(done)
            do(Store.open(settings))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "it raised"
    return False


def _kill_after(statements: int) -> None:
    left = statements

    def count(*_: Any) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
