"""Each layer of the sandbox stops something that no other layer stops: with it off, the same cell gets it.

Probes are harmless, because with a layer off they reach the machine: they look at a marker, a listener or a number.
"""

from __future__ import annotations

import ctypes
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from grader.results.report import Report
from grader.sandbox.jail.layer_log import LAYERS
from grader.sandbox.protocol.layers import LayerStatus
from tests.support.attacks import Attack
from tests.support.device_files import find_devices, make_nodes

_KEY = 0x67726164  # of a shared memory segment
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Probe:
    """A cell that raises "LOOT ..." where it gets something; `overlapping` layers stop it too, so they are off."""

    layer: str
    cell: str
    overlapping: tuple[str, ...] = ()
    memory_bytes: int = 1200 * _MEBIBYTE
    processes: int = 64


PROBES = (
    Probe(
        "cpu cgroup",
        # Without a group, Linux gives a share to each session or process. Those of a group stay in it.
        """
        import subprocess
        groups = subprocess.run(["cat", "/proc/self/cgroup"], start_new_session=True, capture_output=True, text=True)
        cpu = next(line for line in groups.stdout.splitlines() if "cpu" in line.split(":")[1].split(","))
        if "/grader-" not in cpu:
            raise RuntimeError(f"LOOT a share for each process, in {cpu}")
        """,
        ("ipc namespace",),  # it comes with a namespace of control groups, which hides their names
    ),
    Probe(
        "memory cgroup",
        """
        import mmap
        shared = mmap.mmap(-1, 400 * 2**20)
        for page in range(0, len(shared), 4096):
            shared[page] = 1
        raise RuntimeError("LOOT 400 MiB")
        """,
        ("resource limits",),
        memory_bytes=300 * _MEBIBYTE,
    ),
    Probe(
        "pids cgroup",
        """
        import os, signal
        children = []
        try:
            for _ in range(60):
                pid = os.fork()
                if pid == 0:
                    signal.pause()
                children.append(pid)
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
        raise RuntimeError(f"LOOT {len(children)} processes")
        """,
        ("resource limits",),
        processes=40,
    ),
    Probe(
        "devices cgroup",
        """
        import os
        descriptor = os.open(NODE, os.O_RDWR)
        raise RuntimeError(f"LOOT {os.fstat(descriptor).st_rdev}")
        """,
        ("private file system", "landlock"),
    ),
    Probe(
        "unprivileged user",
        'raise RuntimeError(f"LOOT {open(PRIVATE).read()}")',
        ("private file system", "landlock"),
    ),
    Probe(
        "user namespace",
        """
        import os
        if os.getuid() != 1000:
            raise RuntimeError(f"LOOT the host's user id")
        """,
    ),
    Probe(
        "mount namespace",
        """
        import os
        if os.readlink("/proc/self/ns/mnt") == NAMESPACES["mnt"]:
            raise RuntimeError("LOOT the host's mounts")
        """,
        ("private file system", "landlock"),
    ),
    Probe(
        "pid namespace",
        """
        import os
        try:
            os.kill(GRADER, 0)
        except PermissionError:
            pass
        raise RuntimeError("LOOT the grader's process")
        """,
        ("private file system", "landlock"),
    ),
    Probe(
        "net namespace",
        """
        import socket
        with socket.create_connection(("127.0.0.1", PORT), timeout=2) as line:
            raise RuntimeError(f"LOOT {line.recv(100).decode()}")
        """,
        ("seccomp", "landlock"),
    ),
    Probe(
        "ipc namespace",
        f"""
        import ctypes
        if ctypes.CDLL(None).shmget({_KEY}, 0, 0) >= 0:
            raise RuntimeError("LOOT shared memory")
        """,
        ("seccomp",),
    ),
    Probe(
        "uts namespace",
        """
        import os
        if os.uname().nodename == HOST:
            raise RuntimeError("LOOT the host's name")
        """,
    ),
    Probe("private file system", 'raise RuntimeError(f"LOOT {open(PUBLIC).read()}")', ("landlock",)),
    Probe(
        "capabilities",
        """
        fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
        held = [name for name in ("CapEff", "CapPrm", "CapBnd") if int(fields[name], 16)]
        if held:
            raise RuntimeError(f"LOOT {held}")
        """,
    ),
    Probe(
        "no new privileges",
        """
        fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
        if int(fields["NoNewPrivs"]) == 0:
            raise RuntimeError("LOOT new privileges")
        """,
        ("seccomp", "landlock"),
    ),
    Probe(
        "resource limits",
        """
        import os
        with open("sparse", "wb") as file:
            os.truncate("sparse", 2**30)
        raise RuntimeError("LOOT a file of 1 GiB")
        """,
    ),
    Probe("landlock", 'raise RuntimeError(f"LOOT {open(PUBLIC).read()}")', ("private file system",)),
    Probe(
        "seccomp",
        """
        import socket
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
        raise RuntimeError("LOOT an internet socket")
        """,
    ),
)


@pytest.fixture
def outside() -> Iterator[str]:
    """Put markers on this machine, and give the cell that tells where they are."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (
        tempfile.TemporaryDirectory(prefix="outside-") as name,
        socket.create_server(("127.0.0.1", 0)) as listener,
        make_nodes(*(find_devices(1) if os.geteuid() == 0 else ())) as nodes,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        public, private = folder / "public", folder / "private"
        public.write_text("marker")
        private.write_text("marker")
        private.chmod(0o600)
        segment = libc.shmget(_KEY, 4096, 0o1666)
        assert segment >= 0
        listener.setblocking(True)
        namespaces = {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("mnt",)}
        child = os.fork()
        if child == 0:
            _answer_for_ever(listener)
        try:
            yield (
                f"NODE = {str(*nodes)!r}\n"
                f"PUBLIC, PRIVATE = {str(public)!r}, {str(private)!r}\n"
                f"HOST, GRADER, PORT = {os.uname().nodename!r}, {os.getpid()}, {listener.getsockname()[1]}\n"
                f"NAMESPACES = {namespaces!r}"
            )
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)
            libc.shmctl(segment, 0, None)


def _answer_for_ever(listener: socket.socket) -> None:
    try:
        while True:
            line, _ = listener.accept()
            line.sendall(b"marker")
            line.close()
    finally:
        os._exit(0)


@pytest.mark.parametrize("probe", PROBES, ids=[probe.layer for probe in PROBES])
def test_only_this_layer_stops_its_probe(attack: Attack, outside: str, probe: Probe) -> None:
    if probe.layer == "unprivileged user" and os.geteuid() != 0:
        pytest.skip("an ordinary user cannot become another one")

    def run(*off: str) -> Report:
        left_out = frozenset((*probe.overlapping, *off))
        return attack(
            outside, probe.cell, left_out=left_out, memory_bytes=probe.memory_bytes, processes=probe.processes
        )

    guarded = run()
    layer = _layer(guarded, probe.layer)
    if not layer.on:
        pytest.skip(f"{layer.name} does not hold on this machine: {layer.reason}")
    open_to_it = run(probe.layer)
    assert "LOOT" not in guarded.cells[1].message
    assert "LOOT" in open_to_it.cells[1].message
    assert not _layer(open_to_it, probe.layer).on
    assert guarded.score == open_to_it.score == 0


def test_every_layer_has_a_probe() -> None:
    assert [probe.layer for probe in PROBES] == list(LAYERS)


def test_with_nothing_left_out_every_layer_holds_for_root(attack: Attack) -> None:
    report = attack("pass")
    if os.geteuid() == 0:
        assert [layer.name for layer in report.layers if not layer.on] == []


def _layer(report: Report, name: str) -> LayerStatus:
    return next(layer for layer in report.layers if layer.name == name)
