"""Tests of grader/batch/loading.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from grader.batch.loading import start_loading
from grader.batch.messages import ChildReady, CommandError
from grader.sandbox.protocol.encoding import Closed
from grader.sandbox.protocol.messages import unpack_message

# In a process with one thread, as prepare_fork needs it.
_FORKED = """
import os
from grader.batch.loading import prepare_fork, start_loading
prepare_fork()
forked = start_loading()
forked.close()
assert forked.wait() == -15
again = start_loading()
assert again._pid != forked._pid
again.close()
print("done")
"""


def test_a_process_that_is_told_nothing_ends_when_its_line_is_closed() -> None:
    loading = start_loading()
    assert not loading.ended
    loading.line.close()
    assert loading.wait() == 0
    assert loading.ended
    loading.send_signal(signal.SIGTERM)  # does nothing any more
    loading.close()


def test_its_output_goes_to_its_log() -> None:
    loading = start_loading()
    loading.line.send("nonsense")
    with pytest.raises(Closed):
        unpack_message(loading.line.receive(60)[0], ChildReady, CommandError)
    assert loading.wait() == 1
    loading.log.seek(0)
    assert b"Malformed" in loading.log.read()
    loading.close()


def test_a_fork_is_used_once_and_does_the_same() -> None:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.check_output([sys.executable, "-c", _FORKED], env=variables, timeout=60) == b"done\n"
