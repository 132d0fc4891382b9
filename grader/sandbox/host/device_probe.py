"""What a notebook's kernel sees of a GPU: one notebook, run as a student's is, that computes on it.

The notebook is ours, and so is everything in its sandbox, so what it says may be believed.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from grader.models.recipe import Mode
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.notebook import run_notebook
from grader.sandbox.host.sandbox import Sandbox
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.outputs import KeptOutputs
from grader.submission.submission import Cell, Notebook

__all__ = ["KernelView", "probe_device"]

_FILE = "gpu.ipynb"
_MARK = "grader probe: "
# TensorFloat-32 has ten bits of mantissa: each entry of the product is off by less than this part of the largest one.
_TOLERANCE = 1e-3
# By torch's own words for devices, so that it works for whatever device torch has.
_SOURCE = f"""
import json, os, torch

device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
view = {{"visible": os.environ.get("CUDA_VISIBLE_DEVICES", ""), "devices": [], "difference": None}}
if device is not None:
    module = torch.get_device_module(device)
    name = getattr(module, "get_device_name", lambda number: f"{{device.type}} {{number}}")
    view["devices"] = [name(number) for number in range(torch.accelerator.device_count())]
    left, right = torch.randn(2, 512, 512, generator=torch.Generator().manual_seed(1))
    product = left.to(device) @ right.to(device)
    if product.device.type == device.type:
        expected = left @ right
        view["difference"] = float((product.cpu() - expected).abs().max() / expected.abs().max())
print({_MARK!r} + json.dumps(view))
"""
# What an error of CUDA usually means here, by a part of its text.
_REMEDIES = {
    "no kernel image": "this build of torch has no code for such a GPU: install one that has",
    "driver version is insufficient": "the driver is too old for this build of torch: install a newer one",
    "no CUDA-capable device": "the device files or the driver's libraries are not in the sandbox (docs/gpu.md)",
    "unknown error": "run nvidia-modprobe -u on the host as root, and see dmesg",
    "initialization error": "see dmesg; MPS or another compute mode may forbid it",
    "out of memory": "something else uses its memory: nvidia-smi",
    "busy or unavailable": "its compute mode allows no second process: nvidia-smi -c DEFAULT",
}


@dataclass(frozen=True)
class KernelView:
    """What a kernel saw.

    Attributes:
        devices: the names of the devices that torch lists.
        difference: the largest difference of a product of matrices from the CPU's, relative to its largest entry; None
            if nothing was computed on a device.
        seconds: how long the notebook took, with the first use of the device.
        problem: what is wrong, with what to do; "" if nothing is.
    """

    devices: tuple[str, ...] = ()
    difference: float | None = None
    seconds: float = 0.0
    problem: str = ""


def probe_device(sandbox: Sandbox, limits: Limits, uuid: str) -> KernelView:
    """Compute on a GPU in a notebook's kernel.

    Args:
        sandbox: a sandbox that was started with access to the GPU.
        limits: the limits that it was started with.
        uuid: the GPU's.

    Raises:
        SandboxFault: our side of the sandbox broke.
    """
    notebook = Notebook(_FILE, "", (Cell(0, "code", _SOURCE),), {})
    options = RunOptions(names=(), seed=1, mode=Mode.FULL, gpu=uuid)
    started = time.monotonic()
    with closing(Execution(outputs=KeptOutputs(limits))) as execution:
        run_notebook(sandbox, notebook, options, limits, started + limits.submission_seconds, execution)
        end = execution.cells[_FILE, 0]
        shown = execution.outputs.cells.get((_FILE, 0), ()) if execution.outputs else ()
    text = "".join(str(output.get("text", "")) for output in shown)
    return _judge(text, f"the cell {end.status}: {end.message}", uuid, time.monotonic() - started)


def _judge(text: str, end: str, uuid: str, seconds: float) -> KernelView:
    """Return what the cell printed, as a view.

    Args:
        text: what it printed.
        end: how it ended, in case that it printed nothing.
        uuid: the GPU's.
        seconds: how long it took.
    """
    line = next((line for line in text.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        remedy = next((remedy for part, remedy in _REMEDIES.items() if part in end), "see `grader doctor` and dmesg")
        return KernelView(seconds=seconds, problem=f"{end}; {remedy}")
    view: dict[str, Any] = json.loads(line.removeprefix(_MARK))
    devices, difference = tuple(view["devices"]), view["difference"]
    return KernelView(devices, difference, seconds, _find_problem(devices, difference, view["visible"], uuid))


def _find_problem(devices: tuple[str, ...], difference: float | None, visible: str, uuid: str) -> str:
    if not devices:
        return "the kernel sees no device: the driver's libraries or device files are not in the sandbox (docs/gpu.md)"
    if len(devices) > 1:
        return f"the kernel sees {len(devices)} devices and should see one (CUDA_VISIBLE_DEVICES is {visible!r})"
    if visible != uuid:
        return f"the kernel's CUDA_VISIBLE_DEVICES is {visible!r} and should be {uuid!r}"
    if difference is None:
        return "the kernel sees a device, but torch computed on the CPU"
    if not difference <= _TOLERANCE:  # also if it is no number
        return (
            f"a product of matrices differs by {difference:.2g} from the CPU's: have the GPU examined (dcgmi diag -r 3)"
        )
    return ""
