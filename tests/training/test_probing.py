"""Students' graphs are computed in a process of their own, which takes no more memory and time than it may."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from grader.memory_limit import limit_memory
from grader.models.outputs import are_close, compute_outputs
from grader.models.probe import find_departure, probe
from grader.training import probing, probing_process
from grader.training.graph import Graph, TooLarge
from grader.training.network import Network
from grader.training.probing import compute_graph, count_influential, probe_graph, start_prober, stop_prober
from tests.support.gpus import StandInDriver
from tests.support.memory import measure_growth
from tests.support.paths import ROOT
from tests.support.processes import descendants, wait_until
from tests.support.small_models import Branches, graph, sequential

_MIB = 2**20
_IMAGES = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def _large() -> nn.Module:
    """Return a model whose results take 5 GB for sixteen images, and are not refused for one image."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.AdaptiveAvgPool2d(1_000), *[nn.Sigmoid() for _ in range(4)], nn.AdaptiveAvgPool2d(1)
    )


def _slow() -> nn.Module:
    """Return a model that computes for minutes."""
    convolutions = [nn.Conv2d(512, 512, 9, padding=4) for _ in range(12)]
    return nn.Sequential(nn.Conv2d(1, 512, 1), *convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _find_probers() -> set[int]:
    """Return the children of this process that were forked and not started anew."""
    own = _read_command(os.getpid())
    return {pid for pid in descendants(os.getpid()) if _read_command(pid) == own}


def _read_command(pid: int) -> bytes:
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("make", [sequential, Branches])
def test_the_process_computes_what_a_network_computes(make: Callable[[], nn.Module]) -> None:
    model = graph(make)
    network = Network(model)
    found, expected = probe_graph(model, _IMAGES, 7), probe(network, network.names, _IMAGES, 7)
    assert find_departure(found, expected) is None
    sketch = Network(model, "meta")
    outputs = compute_graph(model, _IMAGES, 7, training=True)
    assert outputs is not None
    assert are_close(outputs, compute_outputs(sketch, sketch.names, model.parameters, _IMAGES, 7, training=True))
    assert count_influential(model, _IMAGES, 7) == model.count("conv2d") + model.count("linear")


def test_one_process_computes_all_graphs() -> None:
    start_prober()
    before = _find_probers()
    assert before
    for seed in range(3):
        probe_graph(graph(sequential), _IMAGES, seed)
    assert _find_probers() == before


def test_a_graph_that_takes_too_much_memory_is_refused_and_this_process_stays_small() -> None:
    model = graph(_large)
    start_prober()  # with its own limit, and none that it inherits
    with limit_memory(64 * _MIB), measure_growth() as growth:
        with pytest.raises(TooLarge, match="to compute it takes more than 3 GiB of memory; use smaller layers"):
            probe_graph(model, torch.ones(16, 1, 28, 28), 7)
        assert probe_graph(graph(sequential), _IMAGES, 7)
    assert growth.bytes < 100 * _MIB


def test_a_graph_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_prober()  # the next process is a fork of this one as it is now
    monkeypatch.setattr(probing_process, "CPU_SECONDS", 1)
    with pytest.raises(TooLarge, match="to compute it takes more than 30 s; use smaller layers"):
        probe_graph(graph(_slow), _IMAGES, 7)
    assert probe_graph(graph(sequential), _IMAGES, 7)
    stop_prober()
    assert _find_probers() == set()


def test_what_cannot_be_computed_raises_here() -> None:
    model = graph(sequential)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        probe_graph(model, torch.zeros(4, 1, 20, 20), 7)
    broken = Graph(model.image, model.parameters[::-1], model.nodes)
    with pytest.raises(RuntimeError):
        probe_graph(broken, _IMAGES, 7)


_PROGRAM = """
import torch
from grader.training.probing import probe_graph
from tests.support.small_models import graph, sequential
from tests.training.test_probing import _find_probers
probe_graph(graph(sequential), torch.zeros(4, 1, 28, 28), 7)
print(*_find_probers(), flush=True)
"""


def test_the_process_ends_with_its_parent() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM, "idle"], cwd=ROOT, capture_output=True, text=True, check=True)
    (prober,) = map(int, ran.stdout.split())
    assert wait_until(lambda: not Path("/proc", str(prober)).exists())


def test_a_fork_of_a_process_has_a_process_of_its_own() -> None:
    start_prober()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            torch.set_num_threads(1)
            found = probe_graph(graph(sequential), _IMAGES, 7)["eval"]
            os.write(writing, str(found.shape[0]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        assert pipe.read() == "4"
    os.waitpid(pid, 0)
    assert probe_graph(graph(sequential), _IMAGES, 7)["eval"].shape[0] == 4


def test_where_there_is_a_gpu_the_process_is_no_fork_and_sees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once torch has computed gradients on such a machine, no fork of that process can."""
    stop_prober()
    monkeypatch.setattr(probing, "open_driver", StandInDriver)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    before = set(descendants(os.getpid()))
    try:
        model = graph(sequential)
        found = probe_graph(model, _IMAGES, 5)
        (pid,) = set(descendants(os.getpid())) - before
        assert not _find_probers()
        assert b"CUDA_VISIBLE_DEVICES=\0" in Path("/proc", str(pid), "environ").read_bytes()
        network = Network(model)
        assert find_departure(found, probe(network, network.names, _IMAGES, 5)) is None
        with pytest.raises(TooLarge):
            probe_graph(graph(_large), _IMAGES.repeat(4, 1, 1, 1), 5)
    finally:
        stop_prober()
