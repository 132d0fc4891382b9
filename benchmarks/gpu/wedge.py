"""Submissions that break their device: the next one is unharmed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.gpu.attacks import ENDED, AttackRound
from benchmarks.gpu.cells import start_zygote
from benchmarks.gpu.machine import open_machine
from benchmarks.gpu.rows import CheckRow, attempt
from benchmarks.gpu.settings import CheckSettings

__all__ = ["run"]

# An assertion of a kernel: all further work of this process on the device fails.
_ASSERTS = """
import torch
print("TRIED an index that is out of range", flush=True)
torch.zeros(4, device=DEVICE)[torch.tensor([9999], device=DEVICE)].cpu()
"""
_STILL_ASKS = """
import torch
print(torch.ones(2, device=DEVICE).sum().item())
"""
_KILLS_ITSELF = """
import os, torch
A = torch.randn(SIZE, SIZE, device=DEVICE)
print("TRIED the end in the middle of kernels", flush=True)
import time; time.sleep(0.5)
for _ in range(COUNT):
    A @ A
os.kill(os.getpid(), 9)
"""
_CRASHES = """
import ctypes, torch
A = torch.randn(SIZE, SIZE, device=DEVICE)
print("TRIED a crash", flush=True)
import time; time.sleep(0.5)
for _ in range(COUNT):
    A @ A
ctypes.string_at(0)
"""
_WAITS = """
import torch
A = torch.randn(SIZE, SIZE, device=DEVICE)
print("TRIED to wait for work that takes too long", flush=True)
for _ in range(COUNT):
    B = A @ A
float(B[0, 0])
while True:
    pass
"""


def run(settings: CheckSettings) -> Iterator[CheckRow]:
    """Break the device in every way, and run an honest submission after each."""
    machine = open_machine(settings)
    words = {"SIZE": 64, "COUNT": 4} if settings.rehearse else {"SIZE": 8192, "COUNT": 2000}
    with start_zygote(machine) as zygote:
        go_on = AttackRound(zygote, machine, words).try_and_go_on
        yield attempt("an assertion on the device", partial(go_on, _ASSERTS, _STILL_ASKS, ends=("ok", "raised")))
        yield attempt("killed among its kernels", partial(go_on, _KILLS_ITSELF, ends=(ENDED,)))
        yield attempt("a crash among its kernels", partial(go_on, _CRASHES, ends=(ENDED,)))
        yield attempt("ended while it waits", partial(go_on, _WAITS, seconds=6, ends=("timed out",)))
