"""What is copied from a device, and what if it does not fit or cannot be read."""

from __future__ import annotations

import pytest
import torch

from grader.sandbox.guest.host_copies import HostCopies
from tests.support.stand_in_device import NAME, device


def test_what_does_not_fit_is_left_out_and_said_and_models_come_first() -> None:
    notices: list[str] = []
    net = torch.nn.Linear(2**10, 2**8).to(NAME)
    large = torch.zeros(2**20, device=NAME)
    copies = HostCopies(2**21, notices.append)
    copies.take()
    copies.settle()
    assert (net.weight.device.type, large.device.type) == ("cpu", NAME)
    assert "of tensors on the GPU were not kept for tests" in notices[0]


def test_what_did_not_change_is_copied_once() -> None:
    notices: list[str] = []
    same, changed = torch.zeros(1000, device=NAME), torch.zeros(10, device=NAME)
    copies = HostCopies(2**30, notices.append)
    copies.take()
    before = copies.taken_bytes
    changed.data.add_(1)  # torch's version counters do not show it
    copies.take()
    assert copies.taken_bytes - before == changed.nbytes < same.nbytes


def test_a_device_that_fails_keeps_what_was_copied_before(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.ones(3, device=NAME)
    notices: list[str] = []
    copies = HostCopies(2**30, notices.append)
    copies.take()

    def fail(_: str) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with monkeypatch.context() as patch:
        patch.setattr(device, "enter", fail)
        copies.take()
    assert notices == ["the GPU could not be read: tests see what was on it at the last snapshot before"]
    copies.settle()
    assert (tensor.device.type, tensor.tolist()) == ("cpu", [1, 1, 1])
