"""What a notebook has on a device, in the forks of its kernel: a real sandbox with the stand-in accelerator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from grader.assignment import Assignment
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import Ran, fault_of, ran

GPU = "GPU-of-the-stand-in"
START = """
import copy, dataclasses, functools, itertools, os, numpy, torch
from torch import nn
from tests.support.stand_in_device import device as stand_in
device = torch.device('standin')
def train(net, X, y, steps=3):
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(X), y).backward()
        optimizer.step()
    return optimizer
def count_misuses(): return stand_in.misuses
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).to(device)
X, y = torch.randn(8, 4).to(device), torch.arange(8).remainder(3).to(device)
optimizer = train(net, X, y)
"""
# Cells that end with a function f, and what it returns in a test. Each f returns a number if nothing is wrong.
CELLS = {
    "a model": "def f(): return net(X.cpu()).sum()",
    "a model on the named device": "def f(): return net(X.to('standin')).sum() + net(X.to(device)).sum()",
    "gradients": "def f():\n    net.zero_grad(); net(torch.ones(5, 4)).sum().backward(); return net[1].bias.grad.sum()",
    "gradients from before": "def f(): return net[0].weight.grad.sum() + 1",
    "an optimiser goes on": "def f():\n    train(net, X, y); net(X).sum().backward(); optimizer.step(); return 1",
    "a new model": "def f():\n    new = nn.Linear(4, 3).to(device); train(new, X, y); return new(X).sum()",
    "made there": "def f(): return torch.zeros(2, device=device).sum() + torch.ones_like(X).sum()",
    "a view": "row = X[1]\ndef f():\n    row.zero_(); return 1 + X[1].abs().sum()",
    "views of what was flat": "flat = torch.arange(6., device=device); pair = flat[:3], flat[3:].view(3, 1)\n"
    "def f():\n    flat.fill_(2); return pair[0].sum() + pair[1].sum()",
    "a closure": "def make(T): return lambda: T.sum()\nf = make(torch.ones(3, device=device))",
    "a default argument": "def f(T=torch.ones(3, device=device)): return T.sum()",
    "a default device": "def f(place=device): return torch.ones(3, device=place).sum()",
    "an attribute of a class": "class Kept: T = torch.ones(3, device=device)\ndef f(): return Kept.T.sum()",
    "a plain attribute of a module": "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.scale = torch.ones(3, device=device)\nkept = Net()\ndef f(): return kept.scale.sum()",
    "an array of objects": "kept = numpy.array([None, None], dtype=object); kept[0] = torch.ones(3, device=device)\n"
    "def f(): return kept[0].sum()",
    "a dataclass": "@dataclasses.dataclass\nclass Kept: T: object\nkept = Kept(torch.ones(3, device=device))\n"
    "def f(): return kept.T.sum()",
    "an iterator": "kept = itertools.cycle([torch.ones(3, device=device)])\ndef f(): return next(kept).sum()",
    "a partial": "f = functools.partial(torch.sum, torch.ones(3, device=device))",
    "a result with a history": "kept = (net(X) * 2).sum()\ndef f(): return kept.detach() + kept.item()",
    "an inference tensor": "with torch.inference_mode(): kept = torch.ones(3, device=device)\n"
    "def f(): return kept.sum()",
    "other types": "kept = [torch.ones(3, dtype=t, device=device) for t in (torch.bool, torch.bfloat16, torch.uint8)]\n"
    "def f(): return sum(T.float().sum() for T in kept)",
    "devices that are compared": "places = [device]\n"
    "def f():\n    assert next(net.parameters()).device == device == places[0]; return 1",
    "a device that is held": "class Trainer:\n    def __init__(self): self.device = device\nkept = Trainer()\n"
    "def f(): return 1 if X.device == kept.device else 0",
    "a recurrent layer": "rnn = nn.RNN(4, 2).to(device); rnn(X)[0].sum().backward()\n"
    "def f(): return rnn(X.cpu())[0].sum() + rnn(torch.ones(2, 4))[0].abs().sum() + 9",
    "cuda by name": "def f(): return torch.ones(2).cuda().sum() + net.to('cuda')(X.to('cuda:0')).sum()",
    "a GPU if there is one": "def f():\n    place = torch.device('cuda' if torch.cuda.is_available() else 'cpu')\n"
    "    return nn.Linear(4, 1).to(place)(torch.ones(2, 4).to(place)).abs().sum() + 1",
    "mixed precision": "def f():\n    scaler = torch.amp.GradScaler('cuda'); own = nn.Linear(4, 1).to('cuda')\n"
    "    steps = torch.optim.SGD(own.parameters(), 0.1)\n"
    "    with torch.autocast('cuda', dtype=torch.float16): loss = own(X.to('cuda')).sum()\n"
    "    scaler.scale(loss).backward(); scaler.step(steps); scaler.update(); return 1",
    "pinned memory": "def f():\n    data = torch.utils.data.TensorDataset(torch.ones(6, 2))\n"
    "    loader = torch.utils.data.DataLoader(data, 2, pin_memory=True)\n"
    "    return sum(T.sum() for T, in loader) + torch.ones(2, pin_memory=True).pin_memory().sum()",
    "questions": "def f():\n    torch.cuda.synchronize(); torch.cuda.empty_cache(); torch.cuda.manual_seed_all(1)\n"
    "    return 1 + torch.cuda.memory_allocated()",
    "streams": "def f():\n    stream = torch.cuda.Stream()\n    with torch.cuda.stream(stream): T = torch.ones(1)\n"
    "    torch.cuda.current_stream().wait_stream(stream); return T",
    "files": "torch.save(net.state_dict(), 'net.pt')\n"
    "def f():\n    net.load_state_dict(torch.load('net.pt', map_location=device)); return 1",
    "a copy of a model": "def f(): return copy.deepcopy(net)(X).sum()",
    "a stuck default device": "torch.set_default_device(device)\nlayer = nn.Linear(4, 1)\n"
    "def f(): return layer(torch.ones(2, 4)).abs().sum() + 1",
}
CHECK = "\nassert next(net.parameters()).device.type == X.device.type == 'standin'\ntorch.set_default_device(None)"


@pytest.fixture(scope="module")
def with_device(hw2: Assignment) -> Iterator[Zygote]:
    """A warm process that knows the stand-in device."""
    with Zygote((*hw2.packages, "tests.support.stand_in_device")) as warm:
        assert warm.missing == {}
        yield warm


@pytest.fixture(scope="module")
def kept(with_device: Zygote) -> Iterator[Ran]:
    with ran(with_device, START, *CELLS.values(), gpu=GPU) as made:
        yield made


@pytest.mark.parametrize("name", CELLS)
def test_what_a_notebook_has_on_a_device_is_judged(kept: Ran, name: str) -> None:
    cell = 1 + list(CELLS).index(name)
    assert (kept.statuses()[cell], kept.messages()[cell]) == ("ok", "")
    number = [each.cell for each in kept.work.definitions(["f"]) if not each.at_end].index(cell)
    with kept.student("f", number) as student:
        answer: Any = student.f()
        assert torch.as_tensor(answer).item() != 0
        assert student.count_misuses() == 0


SAME = """
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
torch.manual_seed(1); net.apply(lambda layer: layer.reset_parameters() if hasattr(layer, 'weight') else None)
net.to(device)
def f(T): return net(T)
"""
LATER = """
train(net, X, y, steps=5)
def f(T): return net(T) + 1
train(net, X, y, steps=5); net[0].weight.data += 1
"""


def _ask(warm: Zygote, place: str, gpu: str) -> list[torch.Tensor]:
    start = START.replace("'standin'", repr(place))
    with ran(warm, start, SAME, LATER, gpu=gpu) as made:
        assert made.statuses() == ["ok"] * 3
        T = torch.arange(8.0).reshape(2, 4)
        answers = [made.call("f", T, number=number) for number in (0, 1)]
        return [*answers, made.call("f", T, at_end=True)]


def test_answers_are_those_of_a_notebook_on_the_cpu(with_device: Zygote) -> None:
    answers, on_cpu = _ask(with_device, "standin", GPU), _ask(with_device, "cpu", "")
    assert not torch.allclose(answers[1], answers[2])  # each snapshot has the weights of its time
    for answer, other in zip(answers, on_cpu, strict=True):
        assert torch.allclose(answer, other, atol=1e-5)


def test_an_error_of_the_device_is_the_students_with_a_place_and_plain_words(with_device: Zygote) -> None:
    cell = "T = torch.ones(2)\nstand_in.limit_bytes = 2**20\nU = torch.zeros(2**20, device=device)"
    with ran(with_device, START, cell, "def f(): return 1", gpu=GPU) as made:
        assert made.statuses()[1] == "raised"
        assert "line 3: OutOfMemoryError: the GPU's memory is used up, 4.00 MiB more do not fit" in made.messages()[1]
        assert made.call("f") == 1


def test_a_definition_is_lost_in_the_fork_if_its_tensors_stay_on_the_device(with_device: Zygote) -> None:
    """What the other tests show is due to the copies."""
    spoil = "import grader.sandbox.guest.host_copies as own\nown.HostCopies.settle = lambda self: None"
    with ran(with_device, START, spoil, "def f(): return net(X).sum()", gpu=GPU) as made:
        assert "forked" in fault_of(made.call, "f")[1]
