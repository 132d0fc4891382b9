"""Nothing that a cell can look at has the name of the person who started the grader, or of their machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.without_namespaces import AS_USER, UNKEPT_KEY, WITHOUT_NAMESPACES

NAME = "zaphodbeeblebrox"
CELL = """
import gc, getpass, os, platform, sys, tempfile, types
import matplotlib
name = NAME[::-1]  # as it is not written anywhere
found = {key for key, value in os.environ.items() if name in value}
found |= {str(place) for place in (getpass.getuser(), os.path.expanduser("~"), tempfile.gettempdir(), os.getcwd(),
                                   matplotlib.get_configdir(), matplotlib.get_cachedir(), *sys.path) if name in place}
for thing in gc.get_objects():
    if isinstance(thing, dict):
        values = list(thing.values())
    elif isinstance(thing, (list, tuple, set)):
        values = list(thing)
    elif isinstance(thing, types.CellType):
        values = [value for value in [getattr(thing, "cell_contents", None)]]
    else:
        continue
    found |= {value for value in values if type(value) in (str, bytes) and name in str(value) and value is not name}
raise RuntimeError(f"LOOT {sorted(found)} {platform.node()}")
"""
SCRIPT = """
import json, sys
from grader.assignment import find_assignment
from grader.grading.grade import grade
from grader.sandbox.host.required_layers import accept_any_layers
from grader.sandbox.host.sandbox import Zygote
from tests.support.notebooks import submission
hw2 = find_assignment("hw2")
with Zygote(hw2.packages) as warm:
    report = grade(submission(sys.stdin.read()), hw2, warm, only=["corr2d.values"], accept_layers=accept_any_layers)
print(report.cells[0].stops[0].error)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home folder with the caller's name in its path, and room for temporary files."""
    with tempfile.TemporaryDirectory(prefix="caller-") as folder:
        made = Path(folder, NAME)
        (made / "tmp").mkdir(parents=True)
        for path in (Path(folder), made, made / "tmp"):
            path.chmod(0o777)
        yield made


def run(before: tuple[str, ...], home: Path) -> str:
    """Grade the cell as a user of this name, and return what it raised. Only root can add the user to a machine."""
    users = home.parent / "passwd"
    users.write_text(f"{Path('/etc/passwd').read_text()}{NAME}:x:12345:12345::{home}:/bin/sh\n")
    users.chmod(0o644)
    added = ("unshare", "--mount", "sh", "-c", f'mount --bind {users} /etc/passwd && exec "$@"', "sh")
    done = subprocess.run(
        [*(added if os.geteuid() == 0 else ()), *before, sys.executable, "-P", "-c", SCRIPT],
        input=textwrap.dedent(CELL).replace("NAME", repr(NAME[::-1])),
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "USER": NAME,
            **UNKEPT_KEY,
        },
        cwd="/tmp",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_nothing_tells_the_callers_name_or_the_machines(home: Path) -> None:
    assert run(AS_USER, home) == "RuntimeError: LOOT [] grader"


@pytest.mark.slow
def test_without_namespaces_nothing_tells_the_callers_name(home: Path) -> None:
    assert run(WITHOUT_NAMESPACES, home) == f"RuntimeError: LOOT [] {platform.node()}"
