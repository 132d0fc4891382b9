"""Trainings of notebooks on a device: a real sandbox with the stand-in accelerator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.assignment import Assignment
from grader.models.recipe import Mode
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import Ran, ran

GPU = "GPU-of-the-stand-in"
START = """
import torch, torchvision
from torch import nn
from torch.utils.data import DataLoader, default_collate
from torchvision import transforms
from d2l import torch as d2l
from tests.support.stand_in_device import device as stand_in
device = torch.device('standin')
transform = transforms.Compose([transforms.Resize(32), transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
train = torchvision.datasets.FashionMNIST('data', transform=transform, download=True)
def make_net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5),
                         nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(576, 84), nn.Sigmoid(),
                         nn.Dropout(0.1), nn.Linear(84, 10))
def fit(loader, place):
    net = make_net().to(place)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step, (X, y) in zip(range(25), loader):
        classes.add(type(X))
        X, y = X.to(place), y.to(place)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(X), y).backward()
        optimizer.step()
    return net
"""
TRAIN = """
classes = set()
net = fit(DataLoader(train, 128, shuffle=True, num_workers=2), device)
assert classes and torch.Tensor not in classes
assert next(net.parameters()).device.type == 'standin'
"""
BY_TORCH = """
classes = set()
collate = lambda items: default_collate(items)
expected = fit(DataLoader(train, 128, shuffle=True, num_workers=2, collate_fn=collate), 'cpu')
assert classes == {torch.Tensor}
for a, b in zip(net.parameters(), expected.parameters()):
    assert torch.equal(a.cpu(), b)
"""
OF_THE_BOOK = """
d2l.gpu, d2l.num_gpus = (lambda i=0: device), (lambda: 1)
data = d2l.FashionMNIST(batch_size=256)
data.train.data, data.train.targets = data.train.data[:5120], data.train.targets[:5120]
model = d2l.LeNet(lr=0.1)
model.apply_init([next(iter(data.get_dataloader(True)))[0]], d2l.init_cnn)
d2l.Trainer(max_epochs=2, num_gpus=1).fit(model, data)
assert next(model.parameters()).device.type == 'standin'
"""
KEPT = """
X, y = next(iter(DataLoader(train, 16)))
first = X.shape, X.dtype, X.device.type, len(X)
def f(): return float((X.sum() - X.to(device).cpu().sum()).abs()) + len(X) + len(net(X[:2]))
"""


@pytest.fixture(scope="module")
def trained(hw2: Assignment, fashion_mnist: dict[str, Path]) -> Iterator[Ran]:
    with Zygote((*hw2.packages, "tests.support.stand_in_device")) as warm:
        cells = START, TRAIN, BY_TORCH, OF_THE_BOOK, KEPT
        with ran(warm, *cells, mode=Mode.FULL, data_sets=fashion_mnist, gpu=GPU) as made:
            yield made


def test_weights_are_those_of_torch_s_own_path_on_the_cpu_bit_for_bit(trained: Ran) -> None:
    assert list(zip(trained.statuses(), trained.messages(), strict=True)) == [("ok", "")] * 5


def test_trainings_on_the_device_are_followed(trained: Ran) -> None:
    followed = {each.cell: each for each in trained.work.trainings()}
    assert {1, 3} <= set(followed)
    assert (followed[1].steps, followed[1].optimizer, followed[1].size) == (25, "SGD", (1, 32, 32))
    assert len(followed[1].losses) == 25
    assert followed[3].model == "LeNet"
    assert [each.findings for each in (followed[1], followed[3])] == [(), ()]


def test_a_batch_that_is_kept_is_there_in_tests(trained: Ran) -> None:
    with trained.student("f") as student:
        answer: Any = student.f()
        assert answer == 18


def test_without_a_gpu_batches_are_plain_tensors(hw2: Assignment, fashion_mnist: dict[str, Path]) -> None:
    cell = TRAIN.replace("device)", "'cpu')").split("assert")[0] + "assert classes == {torch.Tensor}"
    with (
        Zygote((*hw2.packages, "tests.support.stand_in_device")) as warm,
        ran(warm, START, cell, mode=Mode.FULL, data_sets=fashion_mnist) as made,
    ):
        assert list(zip(made.statuses(), made.messages(), strict=True)) == [("ok", "")] * 2
