"""What reaches descriptors 1 and 2 appears in the cell, in its place, and within bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from grader.sandbox.guest.descriptors import DescriptorOutput
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import Ran, ran

CELLS = {
    "order": """
import os, subprocess, sys
print('one')
os.system('echo two')
print('three', file=sys.stderr)
os.system('echo four >&2')
print('five')
""",
    "children": "subprocess.run(['echo', 'child'])\nsubprocess.run(['echo', 'given'], stdout=sys.stdout);",
    "bytes": "os.write(1, '가'.encode()[:1]); os.write(1, '가'.encode()[1:]); os.write(1, b'\\xff');",
    "C": "import ctypes\nc = ctypes.CDLL(None)\nc.puts(b'from C')\nc.fflush(None);",
    "paths": "os.system('echo out > /dev/stdout; echo err > /dev/stderr; bash -c \"cat <(echo sub)\"');",
    "numbers": "sys.stdout.fileno(), sys.stderr.fileno(), sys.stdout.isatty()",
    "redirected": """
saved = os.dup(1)
with open('kept.txt', 'w') as file:
    os.dup2(file.fileno(), 1)
os.system('echo into the file')
os.dup2(saved, 1)
os.system('echo back')
print(open('kept.txt').read())
""",
    "replaced": "import io\nfirst = sys.stdout\nsys.stdout = io.StringIO()\nos.system('echo past Python');",
    "restored": "sys.stdout = first\nimport faulthandler\nfaulthandler.enable()",
    "a flood of a child": "os.system('head -c 3000000 /dev/zero | tr \"\\\\0\" x');",
    "an endless child": "os.system('yes');",
    "a fork": "child = os.fork()\nif not child:\n    os.system('echo in the child')\n    os._exit(0)\nos.wait();",
    "after floods": "print('still there')",
}


@pytest.fixture(scope="module")
def made(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, *CELLS.values()) as run:
        yield run


@pytest.fixture
def shown(made: Ran, request: pytest.FixtureRequest) -> list[Mapping[str, Any]]:
    """Return what the cell of this name showed."""
    return made.showed(list(CELLS).index(request.param))


def texts(shown: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(output["name"], output["text"]) for output in shown if output["output_type"] == "stream"]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("order", [("stdout", "one\ntwo\n"), ("stderr", "three\nfour\n"), ("stdout", "five\n")]),
        ("children", [("stdout", "child\ngiven\n")]),
        ("bytes", [("stdout", "가\ufffd")]),
        ("C", [("stdout", "from C\n")]),
        ("paths", [("stdout", "out\nsub\n"), ("stderr", "err\n")]),
        ("redirected", [("stdout", "back\ninto the file\n\n")]),
        ("replaced", [("stdout", "past Python\n")]),
        ("restored", []),
        ("a fork", [("stdout", "in the child\n")]),
        ("after floods", [("stdout", "still there\n")]),
    ],
    indirect=["shown"],
)
def test_a_cell_shows_what_was_written_in_its_order(
    shown: list[Mapping[str, Any]], expected: list[tuple[str, str]]
) -> None:
    assert texts(shown) == expected


@pytest.mark.parametrize("shown", ["numbers"], indirect=True)
def test_the_streams_know_their_descriptors(shown: list[Mapping[str, Any]]) -> None:
    assert shown[0]["data"]["text/plain"] == "(1, 2, False)"


@pytest.mark.parametrize("shown", ["a flood of a child", "an endless child"], indirect=True)
def test_a_flood_is_cut_and_says_so(shown: list[Mapping[str, Any]]) -> None:
    assert len(texts(shown)[0][1]) < 60_000
    assert "kept no more" in shown[-1]["data"]["text/plain"]


def test_no_cell_failed(made: Ran) -> None:
    assert set(made.statuses()) == {"ok"}


def test_what_is_read_is_bounded_and_the_rest_is_counted() -> None:
    spare = os.dup(0)
    output = DescriptorOutput(spare, most=10)
    assert output.read() == ""
    os.write(spare, b"first")
    assert output.read() == "first"
    os.write(spare, b"x" * 3_000_000)
    assert output.read() == "x" * 10 + "\n[2,999,990 more bytes were written]\n"
    assert os.fstat(spare).st_size == 0
    os.write(spare, b"last")
    assert output.read() == "last"
    assert output.read() == ""
    os.ftruncate(spare, 0)
    os.write(spare, b"new")
    assert output.read() == "new"
    os.close(spare)
