"""What grader/sandbox/guest/internals/torch_devices.py needs of torch, and what notebooks with a GPU need of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from grader.assignment import Assignment
from grader.sandbox.guest.internals import torch_devices
from tests.support.stand_in_device import NAME

_BACKWARD_IN_A_FORK = """
import os, sys, torch
torch.set_num_threads(1)
from tests.support import stand_in_device
from grader.sandbox.guest.internals.torch_devices import allow_backward_after_fork
torch.ones(2, device="standin", requires_grad=True).sum().backward()
def try_backward():
    T = torch.ones(3, requires_grad=True)
    T.sum().backward()
    return T.grad.sum() == 3
def run_in_fork(function):
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if function() else 1)
        except RuntimeError as error:
            os._exit(2 if "fork-based" in str(error) else 3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def allowed():
    allow_backward_after_fork()
    return try_backward() and run_in_fork(try_backward) == 0
print(run_in_fork(try_backward), run_in_fork(allowed))
"""

# Prints whether anything asked CUDA for its devices: the first instructions of the function read a flag of that.
_WARM = """
import ctypes, sys
from pathlib import Path
from grader.sandbox.jail import zygote
assert zygote._import_packages(sys.argv[1:]) == {}
from grader.sandbox.guest.kernel import prepare_kernel
prepare_kernel()
import torch
library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10_cuda.so"))
def has_asked():
    start = ctypes.cast(library._ZN3c104cuda12device_countEv, ctypes.c_void_p).value
    code = ctypes.string_at(start, 64)
    position = code.index(b"\\x0f\\xb6\\x05")  # movzbl, at an offset from the next instruction
    offset = int.from_bytes(code[position + 3 : position + 7], "little", signed=True)
    return ctypes.c_bool.from_address(start + position + 7 + offset).value
before = has_asked()
library._ZN3c104cuda12device_countEv()
print(before, has_asked(), torch.cuda.is_initialized())
"""


def _run(source: str, *arguments: str) -> str:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_gradients_are_refused_in_a_fork_of_a_devices_user_unless_they_are_allowed() -> None:
    assert _run(_BACKWARD_IN_A_FORK) == "2 0"


def test_the_note_on_forks_is_found() -> None:
    note, _ = torch_devices.find_fork_notes()
    assert note.value is False


def test_the_warm_process_never_asks_for_a_gpu(hw2: Assignment) -> None:
    if not (Path(torch.__file__).parent / "lib" / "libc10_cuda.so").exists():
        pytest.skip("this torch is made without CUDA")
    assert _run(_WARM, *hw2.packages) == "False True False"


def test_a_kernel_is_shown_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from d2l import torch as d2l

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(torch.cuda, "_cached_device_count", 0)
    devices = [torch.device("cpu")]
    monkeypatch.setattr(d2l.train_ch13, "__defaults__", (devices,))
    torch_devices.show_gpu("GPU-1")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-1"
    assert torch.cuda._cached_device_count is None
    assert devices == [torch.device("cuda:0")]


def test_a_tensor_takes_the_data_of_another_device() -> None:
    with torch.inference_mode():
        inference = torch.ones(2, device=NAME)
    for tensor in (torch.nn.Parameter(torch.ones(2, device=NAME)), inference):
        assert torch_devices.is_on_device(tensor)
        torch_devices.set_data(tensor, torch.zeros(2))
        assert not torch_devices.is_on_device(tensor)
        assert tensor.tolist() == [0, 0]


def test_new_tensors_are_made_on_the_cpu_again() -> None:
    torch.set_default_device(NAME)
    torch_devices.forget_default_devices()
    assert torch.ones(1).device.type == "cpu"
