"""What a kernel makes of a GPU is believed only if it computed there, on the one device, and rightly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from grader.sandbox.host import device_probe
from grader.sandbox.host.device_probe import KernelView, probe_device
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import LIMITS

UUID = "GPU-1"


def judge(text: str = "", end: str = "the cell ok: ", **view: Any) -> KernelView:
    values = {"visible": UUID, "devices": ["NVIDIA H200"], "difference": 1e-6, **view}
    return device_probe._judge(text or f"noise\ngrader probe: {json.dumps(values)}\n", end, UUID, 2.0)


def test_a_product_on_the_one_device_is_well() -> None:
    assert judge() == KernelView(("NVIDIA H200",), 1e-6, 2.0, "")


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ({"devices": []}, "sees no device"),
        ({"devices": ["a", "b"]}, "sees 2 devices and should see one"),
        ({"visible": "0"}, "CUDA_VISIBLE_DEVICES is '0' and should be 'GPU-1'"),
        ({"difference": None}, "torch computed on the CPU"),
        ({"difference": 0.01}, "differs by 0.01 from the CPU's"),
        ({"difference": float("nan")}, "differs by nan"),
    ],
)
def test_anything_else_is_a_problem(view: dict[str, Any], says: str) -> None:
    assert says in judge(**view).problem


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("the cell failed: CUDA error: no kernel image is available", "has no code for such a GPU"),
        ("the cell failed: CUDA unknown error", "nvidia-modprobe -u"),
        ("the cell died: ", "see `grader doctor` and dmesg"),
    ],
)
def test_a_cell_that_fails_is_a_problem_with_its_message_and_a_remedy(end: str, says: str) -> None:
    view = judge("Traceback", end)
    assert view.problem.startswith(f"{end}; ")
    assert says in view.problem


def test_a_sandbox_without_a_device_shows_none(zygote: Zygote) -> None:
    with zygote.sandbox(LIMITS) as sandbox:
        view = probe_device(sandbox, LIMITS, "")
    assert "the kernel sees no device" in view.problem
    assert view.seconds > 0
