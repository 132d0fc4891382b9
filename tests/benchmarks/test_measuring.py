"""Measuring commands: real processes, whose cost is known to be more than nothing."""

from __future__ import annotations

import os
import sys

import pytest

from benchmarks.measuring import measured, proportional_memory

# A process that ends when it has used so much CPU by its own account.
BUSY = "import time\nwhile time.process_time() < 0.2: pass"


def test_a_child_of_a_command_counts() -> None:
    in_a_child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}], check=True)"
    assert measured([[sys.executable, "-c", in_a_child]]).cpu >= 0.2


def test_commands_are_counted_together() -> None:
    assert measured([[sys.executable, "-c", BUSY]] * 3).cpu >= 0.6


def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(RuntimeError, match=r"exit code 3:\nit broke"):
        measured([[sys.executable, "-c", "import sys; print('it broke'); sys.exit(3)"]])


def test_memory_is_that_of_processes_which_are_there() -> None:
    assert proportional_memory({os.getpid()}) > 1
    assert proportional_memory(set()) == 0
