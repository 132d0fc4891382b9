"""A process takes no more memory than it is given, and goes on with its former limit."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading

import pytest
import torch

from grader.memory_limit import MemoryExceeded, is_memory_refused, limit_memory

_MIB = 2**20


def _get_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def test_what_needs_too_much_memory_fails_and_the_process_goes_on() -> None:
    before = _get_limit()
    with pytest.raises(MemoryExceeded, match=r"needed more than 0\.25 GiB"), limit_memory(256 * _MIB):
        bytearray(512 * _MIB)
    assert _get_limit() == before
    assert len(bytearray(512 * _MIB)) == 512 * _MIB


def test_a_tensor_that_is_refused_counts_also_if_another_error_was_made_of_it() -> None:
    def wrap() -> None:
        try:
            torch.ones(512 * _MIB)
        except RuntimeError as error:
            raise LookupError("something else") from error

    with pytest.raises(MemoryExceeded), limit_memory(256 * _MIB):
        wrap()


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(LookupError), limit_memory(256 * _MIB):
        raise LookupError
    assert not is_memory_refused(RuntimeError("no"))
    assert is_memory_refused(OSError(12, "Cannot allocate memory"))


def test_several_threads_may_each_take_what_they_are_given() -> None:
    begun, done = threading.Event(), threading.Event()

    def other() -> None:
        with limit_memory(600 * _MIB):
            begun.set()
            done.wait()

    before = _get_limit()
    thread = threading.Thread(target=other)
    with limit_memory(200 * _MIB):
        alone = _get_limit()
        thread.start()
        begun.wait()
        assert _get_limit() == alone + 600 * _MIB
        done.set()
        thread.join()
        assert _get_limit() == alone
    assert _get_limit() == before


def test_a_process_with_needs_of_its_own_does_not_keep_an_inherited_limit() -> None:
    program = "from grader.memory_limit import allow_memory; allow_memory(2**30); bytearray(700 * 2**20)"
    with limit_memory(300 * _MIB):
        assert subprocess.run([sys.executable, "-c", program]).returncode == 0
        assert subprocess.run([sys.executable, "-c", program.replace("2**30", "2**28")], stderr=-3).returncode == 1
