"""Which Python a cell was written for. What no Python reads is nobody's version."""

from __future__ import annotations

import sys
import time

import pytest

from grader.submission.python_version import describe_newer_python, find_newer_python

NEWER = {
    "f'{d['a']}'": "3.12",
    "x = f\"{'\\n'.join(names)}\"": "3.12",
    "type Number = int | float": "3.12",
    "def f[T](x: T) -> T:\n    return x": "3.12",
    "class A[T]: pass": "3.12",
    "def f[T = int](x: T): pass": "3.13",
    "try:\n    pass\nexcept ValueError, TypeError:\n    pass": "3.14",
    "name = t'{x}'": "3.14",
    "type X = int\nname = t'{x}'": "3.14",
    "%%time\n%matplotlib inline\n!ls\nfiles = !ls\nlen?\nawait g()\ntype X = int": "3.12",
}
NOT_NEWER = {
    "valid": "x = 1",
    "not closed": "x = (1",
    "Python 2": "print 'x'",
    "newer and wrong": "type X = int\nx = (",
    "an await": "await g()",
    "a shell's cell": "%%bash\ntype X = int",
    "a return": "return 3",
    "no Python": "this is no Python",
    "too long": "type X = int\n" + "#" * 400_000,
}


@pytest.mark.parametrize("source", NEWER)
def test_a_cell_for_a_newer_python_names_it(source: str) -> None:
    wanted = NEWER[source]
    ours = sys.version_info[1]
    assert find_newer_python(source) == (wanted if int(wanted.partition(".")[2]) > ours else None)


@pytest.mark.parametrize("name", NOT_NEWER)
def test_a_mistake_is_no_version(name: str) -> None:
    assert find_newer_python(NOT_NEWER[name]) is None


def test_the_report_names_both_versions() -> None:
    ours = ".".join(map(str, sys.version_info[:2]))
    assert describe_newer_python("3.99") == f"written for Python 3.99 or newer; this grader runs {ours}"


@pytest.mark.parametrize("part", [" ", "\n", "a ", "a,", "x?", "%", "x = !", "(", "f'{"])
def test_the_time_is_bounded(part: str) -> None:
    started = time.monotonic()
    find_newer_python("type X = int\n" + part * (300_000 // len(part)))
    assert time.monotonic() - started < 30
