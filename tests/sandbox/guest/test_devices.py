"""A notebook that asks for a GPU on a machine without one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from grader.results.notice import Notice, NoticeKind
from grader.sandbox.guest.devices import NOTICE
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import FILE, Ran, Run, ran

START = """
import torch
from torch import nn
from d2l import torch as d2l
stock = torch.zeros, torch.Tensor.to
"""
SERVED = {
    "a device": "device = torch.device('cuda')\nX = torch.ones(2).to(device)",
    "a device by number": "X = torch.ones(2).to('cuda:0', torch.float64)\nassert X.dtype == torch.float64",
    "a device by name": "X = torch.ones(2).to(device='cuda', non_blocking=True)",
    "cuda": "X = torch.ones(2).cuda()",
    "cuda with a number": "X = torch.ones(2).cuda(0)",
    "a model": "net = nn.Linear(2, 2).cuda()\nX = net(torch.ones(1, 2).cuda())",
    "a model that is moved": "net = nn.Sequential(nn.LazyLinear(2), nn.BatchNorm1d(2)).to(torch.device('cuda', 0))\n"
    "X = net(torch.ones(3, 2).to('cuda'))",
    "a layer": "net = nn.Conv2d(1, 1, 3, device='cuda')\nX = net(torch.ones(1, 1, 5, 5, device='cuda'))",
    "a lazy layer": "net = nn.LazyConv2d(1, 3, device=torch.device('cuda'))\nX = net(torch.rand(1, 1, 5, 5))",
    "d2l's": "X = d2l.ones(2).to(d2l.gpu(0))",
    "made there": "X = torch.zeros_like(torch.arange(3, device='cuda'), device='cuda')",
    "made there from numbers": "X = torch.tensor([1.0, 2.0], device='cuda')",
    "all at once": "torch.set_default_device('cuda')\nX = torch.ones(3)\ntorch.set_default_device('cpu')",
    "the card's name": "name = torch.cuda.get_device_name(0)\nassert isinstance(name, str)",
    "a wait": "torch.cuda.synchronize()",
    "the card": "print(torch.cuda.get_device_properties(0).total_memory, torch.cuda.get_device_capability(0))\n"
    "torch.cuda.set_device(0); assert torch.cuda.current_device() == 0",
    "its memory": "free, total = torch.cuda.mem_get_info()\ntorch.cuda.empty_cache()\n"
    "torch.cuda.reset_peak_memory_stats()\nprint(torch.cuda.memory_summary())\n"
    "assert torch.cuda.memory_allocated() == torch.cuda.max_memory_allocated() == 0",
    "its clock": "start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))\nstart.record(); end.record()\n"
    "torch.cuda.synchronize(); assert start.elapsed_time(end) >= 0",
    "streams": "stream = torch.cuda.Stream()\nwith torch.cuda.stream(stream), torch.cuda.device(0): X = torch.ones(1)\n"
    "torch.cuda.current_stream().wait_stream(stream)",
    "mixed precision": "scaler = torch.amp.GradScaler('cuda', enabled=False)\n"
    "with torch.autocast('cuda', enabled=False): X = torch.ones(2) @ torch.ones(2)",
    "a device as a context": "with torch.device('cuda'): X = torch.ones(2); net = nn.Linear(2, 2)\n"
    "assert net.weight.device == X.device == torch.device('cpu')",
    "a generator": "generator = torch.Generator(device='cuda').manual_seed(3)\nX = torch.rand(2, generator=generator)\n"
    "assert isinstance(generator, torch.Generator) and isinstance(torch.default_generator, torch.Generator)",
    "new tensors": "X = torch.ones(1).new_zeros(2, device='cuda') + torch.ones(1).new_full((2,), 3.0, device='cuda')",
    "a number": "X = torch.ones(2).to(0) + torch.ones(2, device=0)\nassert torch.full((2,), 3).sum() == 6",
    "files": "torch.save(torch.ones(2), 'x.pt')\n"
    "for place in ('cuda', {'cuda:0': 'cuda:1'}, torch.device('cuda'), None):\n"
    "    X = torch.load('x.pt', map_location=place)\nX = torch.load('x.pt', lambda storage, place: storage)",
    "types": "X = torch.ones(2).type(torch.cuda.FloatTensor) + torch.ones(2).type('torch.cuda.FloatTensor')\n"
    "torch.set_default_tensor_type('torch.cuda.FloatTensor')\nY = torch.cuda.LongTensor([1, 2])",
    "several cards": "net = nn.DataParallel(nn.Linear(2, 2)).to('cuda:0')\n"
    "X = net(torch.ones(1, 2).pin_memory().cuda())",
    "Apple's": "device = torch.device('mps')\n"
    "X = nn.Linear(2, 2).to(device)(torch.ones(1, 2, device='mps').to('mps'))\n"
    "torch.mps.empty_cache(); torch.mps.synchronize()",
}
ASKED = "device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')\nX = torch.ones(2).to(device)"


@pytest.fixture(scope="module")
def served(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, START, *(f"{cell}\ndone = torch.ones(1)" for cell in SERVED.values())) as made:
        yield made


@pytest.mark.parametrize("name", SERVED)
def test_a_request_for_a_gpu_is_served_on_the_cpu(served: Ran, name: str) -> None:
    cell = 1 + list(SERVED).index(name)
    assert (served.statuses()[cell], served.messages()[cell]) == ("ok", "")


def test_the_report_says_so_once(served: Ran) -> None:
    assert served.execution.notices == [Notice(NOTICE, NoticeKind.NO_GPU, file=FILE)]


def test_the_cell_says_so_once(run: Run) -> None:
    cell = (
        "from IPython.utils.capture import capture_output\nwith capture_output() as kept:\n"
        "    for i in range(3): torch.ones(1).cuda()\nassert kept.stdout.count('no GPU') == 1, kept.stdout"
    )
    assert run(START, cell, cell).messages() == ["", "", ""]


def test_a_definition_that_asks_for_a_gpu_is_judged(run: Run) -> None:
    made = run("import torch\ndef f(X): return X.to('cuda') + torch.ones(1, device='cuda')")
    assert made.call("f", torch.ones(1)) == 2


def test_a_notebook_that_asks_whether_there_is_one_gets_no_notice(run: Run) -> None:
    made = run(START, ASKED)
    assert made.statuses() == ["ok", "ok"]
    assert made.execution.notices == []


def test_nothing_is_replaced_for_a_notebook_that_mentions_no_gpu(run: Run) -> None:
    assert run(START, "assert (torch.zeros, torch.Tensor.to) == stock").messages() == ["", ""]
