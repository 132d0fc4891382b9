"""Cells that use the device: they see one, it computes what the CPU computes, and cells without it have none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.gpu.cells import make_limits, run_cells, start_zygote
from benchmarks.gpu.machine import CheckedMachine, open_machine
from benchmarks.gpu.rows import CheckRow, RowOutcome, attempt
from benchmarks.gpu.settings import CheckSettings
from grader.sandbox.host.sandbox import ZygoteLine

__all__ = ["run"]

_SEES = """
import json, os, torch
module = getattr(torch, torch.device(DEVICE).type)
tensor = torch.ones(3, device=DEVICE)
print(json.dumps({"count": module.device_count(), "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
    "type": tensor.device.type, "right": float((tensor + 1).sum()) == 6.0}))
"""
_MULTIPLIES = """
import json, time, torch
torch.manual_seed(0)
A, B = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
X, Y = A.to(DEVICE), B.to(DEVICE)
found = (X @ Y).cpu()
started = time.perf_counter()
again = (X @ Y).cpu()
error = float((found - A @ B).norm() / found.norm())
print(json.dumps({"right": error < 1e-3, "error": error, "seconds": time.perf_counter() - started}))
"""
_LEARNS = """
import json, torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
X, y = torch.randn(64, 1, 12, 12), torch.randint(10, (64,)).to(DEVICE)
model(X)
model, X = model.to(DEVICE), X.to(DEVICE)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
losses = []
for _ in range(20):
    loss = nn.functional.cross_entropy(model(X), y)
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    losses.append(float(loss.detach()))
print(json.dumps({"right": losses[-1] < losses[0] / 2, "losses": losses[::5]}))
"""
_LOADS = """
import json, torch
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.arange(64.).reshape(64, 1), torch.arange(64))
total = sum(float(X.to(DEVICE).sum()) for X, _ in DataLoader(data, batch_size=8, num_workers=2))
print(json.dumps({"right": total == 2016.0}))
"""
_HAS_NONE = """
import glob, json, os, torch
opened = []
wanted = [f"/dev/nvidia{suffix}" for suffix in (*range(16), "ctl", "-uvm", "-uvm-tools", "-modeset")]
for path in {*glob.glob("/dev/nvidia*"), *wanted}:
    try:
        os.close(os.open(path, os.O_RDWR))
        opened.append(path)
    except OSError:
        pass
print(json.dumps({"right": not opened and torch.ones(2).sum().item() == 2.0, "opened": opened,
    "count": torch.cuda.device_count()}))
"""


# What CUDA says itself, and whether torch computes.
_STARTS_CUDA = """
import ctypes, json, torch
try:
    code = ctypes.CDLL("libcuda.so.1").cuInit(0)
except OSError as error:
    code = str(error)
try:
    right = float(torch.ones(3, device=DEVICE).sum()) == 3.0
    error = ""
except Exception as raised:
    right, error = False, f"{type(raised).__name__}: {str(raised)[:300]}"
print(json.dumps({"right": right, "cuInit": code, "error": error}))
"""
_LAYERS = ("seccomp", "landlock", "resource limits", "devices cgroup", "memory cgroup", "private file system")


def run(settings: CheckSettings) -> Iterator[CheckRow]:
    """Run the cells, each in a sandbox of its own."""
    machine = open_machine(settings)
    size = "64" if settings.rehearse else "4096"
    with start_zygote(machine) as zygote:
        look = partial(_look, zygote, machine)
        first = attempt("a cell sees one device", partial(_look_for_one, zygote, machine))
        yield first
        if first.outcome is not RowOutcome.OK:
            yield from _find_layer(zygote, machine)
        yield attempt("a cell multiplies matrices", partial(look, [_MULTIPLIES.replace("SIZE", size)]))
        yield attempt("a model learns", partial(look, [_LEARNS]))
        yield attempt("a data loader with workers", partial(look, [_LOADS]))
        yield attempt(
            "a second cell goes on", partial(look, ["import torch\nkept = torch.ones(2, device=DEVICE)", _GOES_ON])
        )
        yield attempt("without the device", partial(look, [_HAS_NONE], with_device=False))


_GOES_ON = """
import json
print(json.dumps({"right": kept.device.type == torch.device(DEVICE).type and float(kept.sum()) == 2.0}))
"""


def _find_layer(zygote: ZygoteLine, machine: CheckedMachine) -> Iterator[CheckRow]:
    """Leave out one layer after the other, to find the one in which the device does not work."""
    for left_out in (*([layer] for layer in _LAYERS), _LAYERS):
        look = partial(_look, zygote, machine, [_STARTS_CUDA], left_out=frozenset(left_out))
        yield attempt(f"without {', '.join(left_out)}", look)


def _look(zygote: ZygoteLine, machine: CheckedMachine, cells: Sequence[str], **options: Any) -> CheckRow:
    """Run cells, of which the last prints what it found as JSON; `options` are those of `run_cells`."""
    found = run_cells(zygote, machine, cells, make_limits(40), **options)
    if set(found.statuses) != {"ok"}:
        return CheckRow("", RowOutcome.WRONG, "; ".join(found.messages), data=found.to_json())
    values = json.loads(found.printed[-1].strip().splitlines()[-1])
    outcome = RowOutcome.OK if values.pop("right") else RowOutcome.WRONG
    return CheckRow("", outcome, ", ".join(f"{name} {value}" for name, value in values.items()), data=found.to_json())


def _look_for_one(zygote: ZygoteLine, machine: CheckedMachine) -> CheckRow:
    row = _look(zygote, machine, [_SEES])
    named = machine.device != "cuda" or f"visible {machine.gpu.uuid}," in row.detail
    if row.outcome is RowOutcome.OK and not ("count 1," in row.detail and named):
        return CheckRow("", RowOutcome.WRONG, row.detail, data=row.data)
    return row
