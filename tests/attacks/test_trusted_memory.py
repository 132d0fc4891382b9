"""What a student's process sends costs the process that judges little memory, whatever it is."""

from __future__ import annotations

import pytest

from tests.support.attacks import Attack
from tests.support.memory import measure_growth

_MIB = 2**20
_MOST = 250 * _MIB  # by which a judging process may grow; sixty megabytes of text alone took two gigabytes

# The bodies of frames, as large as they once might be. They are written by hand: to encode them takes more memory.
_FRAMES = {
    "one long text with a wide character": "b's' + length(60 * MIB) + b'x' * (60 * MIB - 4) + WIDE",
    "the message of a failure": "b'!' + length(1) + b'x' + length(60 * MIB) + b'x' * (60 * MIB - 4) + WIDE",
    "the type of an object": "b'h' + length(1) + length(1) + b'o' + length(60 * MIB) + b'x' * (60 * MIB - 4) + WIDE",
    "many texts": "b'(' + length(9_000) + (b's' + length(7_000) + b'x' * 6_996 + WIDE) * 9_000",
    "a large array": "b'a' + bytes([1, 1]) + 2 * (60 * MIB).to_bytes(8, 'big') + bytes(60 * MIB)",
}
_ATTACK = """
import grader.sandbox.protocol.channels as channels
MIB, WIDE = 2**20, chr(0x1F600).encode()
length = lambda count: count.to_bytes(4, "big")
def send(self, value, seconds=None):
    body = {frame}
    self.socket.settimeout(None)
    self.socket.sendall(length(len(body)))
    self.socket.sendall(body)
channels.Channel.send = send
def corr2d(X, K): return X
def pool2d(X, pool_size, mode="max"): return X
"""


@pytest.mark.parametrize("frame", _FRAMES.values(), ids=_FRAMES.keys())
def test_large_frames_take_little_memory_of_ours(attack: Attack, frame: str) -> None:
    with measure_growth() as growth:
        report = attack(_ATTACK.format(frame=frame))
    assert report.score == 0
    assert growth.bytes < _MOST, f"{growth.bytes / _MIB:.0f} MiB"


_MODELS = {
    "many channels": "nn.Conv2d(1, 128, 3), nn.AdaptiveAvgPool2d(1200), nn.AdaptiveAvgPool2d(5)",
    "few channels": "nn.Conv2d(1, 16, 3), nn.AdaptiveAvgPool2d(1200), nn.Sigmoid(), nn.AdaptiveAvgPool2d(5)",
    "a padding": "nn.ZeroPad2d(9_000), nn.AdaptiveAvgPool2d(5)",
    "a long row": "nn.Flatten(), nn.LazyLinear(1_000_000)",
}
_LENET = """
import torch
from torch import nn
class LeNet(nn.Module):
    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.net = nn.Sequential({layers}, nn.Flatten(), nn.LazyLinear(num_classes))
    def forward(self, X):
        return self.net(X)
"""


@pytest.mark.parametrize("layers", _MODELS.values(), ids=_MODELS.keys())
def test_large_models_take_little_memory_of_ours(attack: Attack, layers: str) -> None:
    with measure_growth() as growth:
        report = attack(_LENET.format(layers=layers), test_memory_bytes=2 * 2**30, memory_bytes=4 * 2**30)
    assert report.score == 0
    assert growth.bytes < _MOST, f"{growth.bytes / _MIB:.0f} MiB"
