"""The stand-in accelerator of tests is one for torch: what tests of devices rest on."""

from __future__ import annotations

import copy
import os

import pytest
import torch
from torch import nn

from tests.support.stand_in_device import NAME, device


def test_a_model_learns_the_same_as_on_the_cpu() -> None:
    def train(place: str) -> float:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
        images, labels = torch.randn(32, 1, 8, 8), torch.randint(0, 10, (32,))
        net, images, labels = net.to(place), images.to(place), labels.to(place)
        optimizer = torch.optim.Adam(net.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
        assert next(net.parameters()).device.type == place
        return loss.item()

    assert train(NAME) == pytest.approx(train("cpu"))


def test_views_share_storages_and_memory_is_counted() -> None:
    before = device.used_bytes
    whole = torch.zeros(4, 3, device=NAME)
    row = copy.deepcopy(whole)[1:]
    row.fill_(2)
    assert device.used_bytes == before + 96
    assert row._base is not None
    assert row._base.cpu().sum() == 18
    assert whole.cpu().sum() == 0
    del whole, row
    assert device.used_bytes == before


def test_a_fork_is_refused() -> None:
    tensor = torch.ones(3, device=NAME)
    pid = os.fork()
    if pid == 0:
        try:
            tensor.cpu()
        except RuntimeError as error:
            os._exit(0 if "forked subprocess" in str(error) and device.misuses == 1 else 1)
        os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0


def test_tensors_of_two_devices_are_refused() -> None:
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(3, 3, device=NAME).mm(torch.ones(3, 3))
