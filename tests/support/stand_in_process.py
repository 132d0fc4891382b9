"""Tests with the stand-in accelerator, each file of them in a process of its own.

torch takes an accelerator only before the first gradient, and afterwards no fork of its process computes one. So a file
named `test_..._with_stand_in.py` is not imported by the process of all other tests: it is one test there, which runs
the file. To run a single test of it, set the variable and name it as usual:

    GRADER_STAND_IN_PROCESS=1 pytest tests/contracts/test_torch_with_stand_in.py -k fork
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

__all__ = ["StandInFile", "StandInRun", "needs_own_process"]

_VARIABLE = "GRADER_STAND_IN_PROCESS"
_SECONDS = 300


def needs_own_process(path: Path) -> bool:
    """Return whether a file of tests uses the stand-in, and this is not the process for it."""
    return path.stem.endswith("_with_stand_in") and not os.environ.get(_VARIABLE)


class StandInFile(pytest.Module):
    """A file that is run in a process of its own and not imported here."""

    def collect(self) -> Iterator[StandInRun]:
        """Return one test for all that are in the file."""
        yield StandInRun.from_parent(self, name="in_a_process_of_its_own")


class StandInRun(pytest.Item):
    """The tests of one file, as one."""

    def runtest(self) -> None:
        """Run them, and fail with what pytest printed if one of them fails."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(self.path)]
        done = subprocess.run(
            [*command, "-m", self.config.option.markexpr],
            cwd=ROOT,
            env={**os.environ, _VARIABLE: "1"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        if done.returncode != pytest.ExitCode.OK:
            pytest.fail(f"{done.stdout}\n{done.stderr}", pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the test is, for pytest's messages."""
        return self.path, 0, f"{self.path.name}: {self.name}"
