"""The guest runs with `guest/`, `protocol/` and `models/` alone: no other part of the grader, no rubric, no reference.

The three packages are copied to a folder of their own, together with the `__init__.py` of `grader` and of
`grader.sandbox` as they are, so that an import added there counts too. An interpreter without site packages'
start-up files (the editable installation of this project is one) finds the grader in that folder only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import pytest
import torch

from grader.sandbox.host.sandbox import Sandbox, Zygote
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed
from grader.sandbox.protocol.limits import Limits
from tests.support.paths import ROOT
from tests.support.sandbox_runs import Ran, ran

ROOMS = ("grader/sandbox/guest", "grader/sandbox/protocol", "grader/models")
PACKAGES = ("grader/__init__.py", "grader/sandbox/__init__.py")
OUT_OF_REACH = (
    *("grader.judging", "grader.results", "grader.sandbox.host", "grader.sandbox.jail", "grader.training"),
    *("rubrics", "reference", "tests"),
)

# Does for one kernel what the jail's first process does, without locking anything in.
LAUNCHER = """
import importlib, os, pkgutil, socket, sys

sys.path += sys.argv[2].split(os.pathsep)
rooms = sys.argv[3].split()
for room in map(importlib.import_module, rooms):
    for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
        importlib.import_module(module.name)

from grader.sandbox.guest.kernel import prepare_kernel, run_kernel
from grader.sandbox.guest.messages import MessageLine
from grader.sandbox.guest.runner import run_cells
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.limits import Limits

def is_importable(name):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return False
    return True

def fork(body):
    pid = os.fork()
    if pid == 0:
        try:
            body()
        finally:
            os._exit(0)
    return pid

prepare_kernel()
orders = Packets(socket.socket(fileno=int(sys.argv[1])))
loaded = tuple(sorted(name for name in sys.modules if name.partition(".")[0] == "grader"))
orders.send({"loaded": loaded, "importable": tuple(name for name in sys.argv[4].split() if is_importable(name))})
while True:
    order, descriptors = orders.receive()
    if order["order"] == "clear":
        orders.send({"cleared": True})
        continue
    tracker, runner = (socket.socket(fileno=descriptor) for descriptor in descriptors)
    asked, asking = MessageLine.pair()
    kernel = fork(lambda: run_kernel(asked, tracker, order, Limits()))
    fork(lambda: run_cells(asking, kernel, runner, Limits()))
    orders.send({"kernel": kernel})
    for line in (tracker, runner, asked, asking):
        line.close()
"""


@dataclass
class Guest:
    """The guest's process, and the modules that it loaded and could load."""

    sandbox_line: Sandbox
    loaded: tuple[str, ...]
    importable: tuple[str, ...]

    @contextmanager
    def sandbox(self, *_: Any) -> Iterator[Sandbox]:
        """Stand in for a zygote, whose sandbox would be locked in."""
        yield self.sandbox_line

    def run(self, *cells: str) -> Any:
        """Run a notebook of these cells."""
        return ran(cast(Zygote, self), *cells, names=("double", "Net"), limits=Limits())


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    packages, elsewhere = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("elsewhere")
    for room in ROOMS:
        shutil.copytree(ROOT / room, packages / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in PACKAGES:
        shutil.copy(ROOT / file, packages / file)
    installed = os.pathsep.join(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))
    orders, orders_end = Packets.pair()
    rooms = " ".join(room.replace("/", ".") for room in ROOMS)
    arguments = [str(orders_end.fileno()), installed, rooms, " ".join(OUT_OF_REACH)]
    environment = {
        "PYTHONPATH": str(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PATH": os.defpath,
        "HOME": str(elsewhere),
        "TMPDIR": str(elsewhere),
    }
    with subprocess.Popen(
        [sys.executable, "-P", "-S", "-W", "ignore", "-c", LAUNCHER, *arguments],
        cwd=elsewhere,
        env=environment,
        pass_fds=[orders_end.fileno()],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        orders_end.close()
        try:
            first, _ = orders.receive(seconds=120)
            pidfd = os.pidfd_open(process.pid)
            yield Guest(Sandbox(orders, pidfd, "", first=False), first["loaded"], first["importable"])
            os.close(pidfd)
        except Closed:
            assert process.stderr
            pytest.fail(f"the guest does not stand alone:\n{process.stderr.read()}")
        finally:
            orders.close()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def notebook(guest: Guest) -> Iterator[Ran]:
    with guest.run(
        "import torch\nfrom torch import nn\ndef double(X):\n    return 2 * X",
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(4, 2)\n"
        "    def forward(self, X):\n"
        "        return torch.relu(self.layer(X))\n"
        "print('shown')",
    ) as run:
        yield run


def test_nothing_else_of_the_grader_is_loaded_or_can_be(guest: Guest) -> None:
    rooms = tuple(room.replace("/", ".") for room in ROOMS)
    assert guest.importable == ()
    assert [name for name in guest.loaded if not name.startswith(rooms)] == ["grader", "grader.sandbox"]


def test_a_notebook_runs(notebook: Ran) -> None:
    assert notebook.statuses() == ["ok", "ok"], notebook.messages()
    assert [output["text"] for output in notebook.showed(1)] == ["shown\n"]


def test_a_snapshot_answers(notebook: Ran) -> None:
    assert notebook.defined("double") == [0]
    assert torch.equal(notebook.call("double", torch.ones(2, 3)), torch.full((2, 3), 2.0))


def test_a_model_is_traced_there(notebook: Ran) -> None:
    with notebook.student("Net", at_end=True) as student:
        operations = [operation.name for operation in student.Net().operations(torch.zeros(5, 4))]
    assert operations == ["addmm", "relu"]
