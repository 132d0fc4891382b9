"""Where no namespaces can be made, a cell still reaches nothing of the host and does nothing outside.

The notebook runs as an ordinary user on a machine that really refuses namespaces. What the cells attack belongs to the
same user, so no permission of a file or a process protects it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.hostile_cells import REACHED
from tests.support.paths import ROOT
from tests.support.without_namespaces import UNKEPT_KEY, WITHOUT_NAMESPACES

# Sets up what is attacked, grades a notebook of the attacks, and prints their messages and what became of the victims.
NOTHING_THERE = """
def nothing():
    raise OSError("nothing was reached")
"""
SCRIPT = """
import json, os, socket, subprocess, sys, tempfile
from pathlib import Path
from grader.assignment import find_assignment
from grader.grading.grade import grade
from grader.sandbox.host.required_layers import accept_any_layers
from grader.sandbox.host.sandbox import Zygote
from tests.support.notebooks import submission

REACHED, ATTACKS, left_out = json.loads(sys.stdin.read())
hw2 = find_assignment("hw2")
folder = Path(tempfile.mkdtemp(dir="/tmp"))
stream, datagrams = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
stream.bind(f"{folder}/stream")
stream.listen()
datagrams.bind(f"{folder}/datagrams")
datagrams.setblocking(False)
(folder / "mine").write_text("marker")
(folder / "mine").chmod(0o600)
victim = subprocess.Popen(["sleep", "1000"])
places = (
    f"FOLDER, VICTIM, GRADER = {str(folder)!r}, {victim.pid}, {os.getpid()}\\n"
    f"RUBRIC, REFERENCE = {str(hw2.folder)!r}, {str(hw2.reference)!r}"
)
try:
    with Zygote(()) as warm:
        report = grade(
            submission(places, REACHED, *ATTACKS.values()), hw2, warm, only=["corr2d.values"],
            left_out=frozenset(left_out), accept_layers=accept_any_layers,
        )
    try:
        received = datagrams.recv(100).decode()
    except BlockingIOError:
        received = ""
    outside = {
        "files": sorted(path.name for path in folder.iterdir()),
        "mode": oct((folder / "mine").stat().st_mode & 0o777),
        "content": (folder / "mine").read_text(),
        "received": received,
        "priority": os.getpriority(os.PRIO_PROCESS, victim.pid) - os.getpriority(os.PRIO_PROCESS, 0),
        "alive": victim.poll() is None,
    }
finally:
    victim.kill()
print(json.dumps({
    "cells": {name: [stop.error for stop in cell.stops] for name, cell in zip(ATTACKS, report.cells[2:], strict=True)},
    "outside": outside,
    "missing": report.missing_layers,
}))
"""

ATTACKS = {
    "a service by its path": """
        import socket
        def dial(kind, name):
            line = socket.socket(socket.AF_UNIX, kind)
            line.connect(f"{FOLDER}/{name}")
            return name
        reached(lambda: dial(socket.SOCK_STREAM, "stream"), lambda: dial(socket.SOCK_DGRAM, "datagrams"))
    """,
    "a service by a datagram of a pair": """
        import select, socket
        def send(kind):
            ours, other = socket.socketpair(socket.AF_UNIX, kind)
            other.setblocking(False)
            ours.sendto(b"from inside", f"{FOLDER}/datagrams")
            return "sent" if not select.select([other], [], [], 0)[0] else nothing()
        kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
        reached(*[lambda kind=kind: send(kind) for kind in kinds])
    """,
    "a service by a connected pair": """
        import socket
        def reconnect(kind, name):
            ours, _ = socket.socketpair(socket.AF_UNIX, kind)
            ours.connect(f"{FOLDER}/{name}")
            return name
        reached(*[lambda kind=kind, name=name: reconnect(kind, name)
                  for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM) for name in ("stream", "datagrams")])
    """,
    "a service of its own": """
        import socket
        def serve():
            ours, _ = socket.socketpair()
            ours.bind("inside")
            return "bound"
        reached(serve)
    """,
    "a file of the user": 'reached(lambda: open(f"{FOLDER}/mine").read())',
    "the answers": """
        import glob
        def read(folder):
            return [len(open(path, "rb").read()) for path in glob.glob(f"{folder}/**/*.*", recursive=True)][:1]
        reached(*[lambda folder=folder: read(folder) or nothing() for folder in (RUBRIC, REFERENCE)])
    """,
    "the data sets": """
        import os
        def read(name):
            with open(f"/usr/share/datasets/fashion-mnist/{name}", "rb") as file:
                return len(file.read())
        names = os.listdir("/usr/share/datasets/fashion-mnist")
        assert names
        reached(*[lambda name=name: read(name) for name in names])
    """,
    "the names of the machine's users": """
        reached(*[lambda name=name: open(f"/etc/{name}").read() for name in ("passwd", "group")])
    """,
    "other processes": """
        import os
        files = ("cmdline", "environ", "status", "stat", "maps", "comm", "cgroup")
        reached(lambda: os.listdir("/proc"),
                *[lambda name=name, pid=pid: open(f"/proc/{pid}/{name}").read()
                  for name in files for pid in (1, GRADER, VICTIM, os.getppid())])
    """,
    "the connections of the machine": """
        reached(*[lambda name=name: open(f"/proc/{name}").read()
                  for name in ("net/unix", "net/tcp", "self/net/unix", "thread-self/net/tcp", "1/net/tcp")])
    """,
    "a command that writes outside": """
        import subprocess
        subprocess.run(["touch", f"{FOLDER}/new"])
        subprocess.run(["chmod", "777", f"{FOLDER}/mine"])
        subprocess.run(["renice", "15", str(VICTIM)])
        subprocess.run(["kill", "-9", str(VICTIM)])
    """,
    "calls that Landlock does not know": """
        import os, resource
        os.chmod(f"{FOLDER}/mine", 0o777)
        os.utime(f"{FOLDER}/mine")
        reached(lambda: os.truncate(f"{FOLDER}/mine", 0),
                lambda: os.setpriority(os.PRIO_PROCESS, VICTIM, 15),
                lambda: resource.prlimit(VICTIM, resource.RLIMIT_CPU, (0, 0)),
                lambda: os.sched_setaffinity(VICTIM, {0}),
                lambda: os.kill(VICTIM, 9))
    """,
    "queues and watches": """
        import ctypes
        libc = ctypes.CDLL(None)
        def make(name, *arguments):
            made = getattr(libc, name)(*arguments)
            if made < 0:
                nothing()
            remove = {"semget": "semctl", "msgget": "msgctl", "shmget": "shmctl"}.get(name)
            getattr(libc, remove)(made, 0, 0) if remove == "semctl" else remove and getattr(libc, remove)(made, 0, None)
            return name
        reached(lambda: make("inotify_init"), lambda: make("semget", 0, 1, 0o600), lambda: make("msgget", 0, 0o600),
                lambda: make("shmget", 0, 1, 0o600), lambda: make("mq_open", b"/outside", 0o102, 0o600, None))
        libc.mq_unlink(b"/outside")
    """,
}
NOTHING = ["RuntimeError: LOOT []"]


def _run(*left_out: str) -> Mapping[str, Any]:
    cells = {name: textwrap.dedent(cell) for name, cell in ATTACKS.items()}
    done = subprocess.run(
        [*WITHOUT_NAMESPACES, sys.executable, "-P", "-c", SCRIPT],
        input=json.dumps([REACHED + NOTHING_THERE, cells, left_out]),
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/tmp", **UNKEPT_KEY},
        cwd="/tmp",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


UNTOUCHED = {
    "files": ["datagrams", "mine", "stream"],
    "mode": "0o600",
    "content": "marker",
    "received": "",
    "alive": True,
    "priority": 0,
}


@pytest.fixture(scope="module")
def guarded() -> Mapping[str, Any]:
    """What the attacks got with every layer that the machine allows."""
    return _run()


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "a command that writes outside"])
def test_nothing_of_the_host_is_reached(guarded: Mapping[str, Any], name: str) -> None:
    assert guarded["cells"][name] == NOTHING


def test_nothing_outside_is_changed(guarded: Mapping[str, Any]) -> None:
    assert guarded["outside"] == UNTOUCHED


def test_the_machine_really_refuses_namespaces(guarded: Mapping[str, Any]) -> None:
    assert {"user namespace", "mount namespace", "pid namespace", "net namespace", "private file system"} <= set(
        guarded["missing"]
    )
    assert not {"seccomp", "landlock", "capabilities"} & set(guarded["missing"])


@pytest.mark.slow
def test_without_the_filter_and_landlock_every_attack_gets_something() -> None:
    found = _run("seccomp", "landlock")
    spared = {name for name, errors in found["cells"].items() if errors == NOTHING}
    assert spared == set()
    assert {key for key, value in found["outside"].items() if value == UNTOUCHED[key]} == set()
