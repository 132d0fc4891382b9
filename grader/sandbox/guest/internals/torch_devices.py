"""torch: what it keeps about devices, and what a process needs in which they cannot be used: a fork of their user."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from grader.sandbox.guest.internals.replacement import replace_attribute

__all__ = [
    "allow_backward_after_fork",
    "find_device_kinds",
    "find_fork_notes",
    "forget_default_devices",
    "is_on_device",
    "make_flat_view",
    "make_tensor",
    "set_data",
    "show_gpu",
]

# Bound before any student's code ran. Those of torch._C cannot be replaced; what tests know of `torch.Tensor` can.
_Base: Any = torch._C.TensorBase
_empty, _device = torch.empty, torch.device
_WithoutFunctionModes = torch._C.DisableTorchFunction
_INITIALIZE = "_ZN5torch8autograd6Engine30initialize_device_threads_poolEv"
_SET_HAS_CONTEXT = "_ZN3c104cuda9_internal20setHasPrimaryContextEPFbaE"
_COMPARES_BYTE = b"\x80\x3d"  # cmpb $0, at an offset of four bytes from the next instruction


def find_device_kinds() -> tuple[str, ...]:
    """Return the names of the devices that are not the CPU, one that a package added included."""
    return ("cuda", "mps", "xpu", torch._C._get_privateuse1_backend_name())


def is_on_device(tensor: Tensor) -> bool:
    """Return whether a tensor's values are in the memory of a device, whatever the tensor says about itself."""
    with _WithoutFunctionModes():
        return _Base.device.__get__(tensor).type not in ("cpu", "meta")


def make_flat_view(storage: torch.UntypedStorage, dtype: torch.dtype) -> Tensor:
    """Return all of a storage that whole numbers of this type fill, as one row."""
    return make_tensor(storage, dtype, 0, (storage.nbytes() // dtype.itemsize,), (1,))


def make_tensor(storage: torch.UntypedStorage, dtype: torch.dtype, offset: int, size: Any, stride: Any) -> Tensor:
    """Return a tensor in a storage, on its device."""
    with _WithoutFunctionModes():
        made: Tensor = _Base.set_(_empty(0, dtype=dtype, device=storage.device), storage, offset, size, stride)
    return made


def set_data(tensor: Tensor, data: Tensor) -> None:
    """Let a tensor have other values, of any device, and stay the same object.

    Raises:
        RuntimeError: torch does not allow it.
    """
    with _WithoutFunctionModes(), torch.inference_mode(_Base.is_inference(tensor)):
        _Base.data.__set__(tensor, _Base.clone(data) if _Base.is_inference(tensor) else data)


def forget_default_devices() -> None:
    """Make new tensors on the CPU, whatever the notebook chose."""
    torch.set_default_device(None)
    with _WithoutFunctionModes():
        if torch._C._get_default_device() != "cpu":  # `set_default_tensor_type` changes this one
            dtype = torch.get_default_dtype()
            torch.set_default_tensor_type(torch.FloatTensor)
            torch.set_default_dtype(dtype)


def show_gpu(uuid: str) -> None:
    """Let this process use one GPU. The warm process, of which it is a fork, has none and never asked CUDA for one.

    Raises:
        RuntimeError: forks could not compute gradients (`find_fork_notes`).
    """
    find_fork_notes()
    os.environ["CUDA_VISIBLE_DEVICES"] = uuid
    replace_attribute(torch.cuda, "_cached_device_count", None)
    d2l = sys.modules.get("d2l.torch")
    for function in vars(d2l).values() if d2l else ():
        for default in getattr(function, "__defaults__", None) or ():
            if default == [torch.device("cpu")]:  # `devices=d2l.try_all_gpus()`, as it was at d2l's import
                default[:] = [torch.device("cuda:0")]


def allow_backward_after_fork() -> None:
    """Let gradients be computed on the CPU in this fork of a process that may have used a GPU.

    With a GPU in sight the first `backward`, even of the CPU's tensors, starts a thread for each device. torch notes in
    every later fork that these are missing, and refuses all gradients there. Gradients of the CPU's tensors need none
    of them: the thread that asks computes them. Two things have to be changed for that: the note, and what torch asks
    CUDA's driver for at the beginning of each `backward`, namely whether this process uses the device. It does not.
    """
    note, set_has_context = find_fork_notes()

    def strike_out() -> None:
        note.value = False

    strike_out()
    os.register_at_fork(after_in_child=strike_out)  # torch notes it in this fork's forks again
    if set_has_context is not None:
        set_has_context(ctypes.CDLL(None).isalpha)  # of C, so it needs no lock of Python's; False for small numbers


def find_fork_notes() -> tuple[ctypes.c_bool, Any]:
    """Return torch's note that a fork lacks threads, and what replaces its question to the driver, if it has one.

    The note has no name that can be looked up. The function that reads it has, and begins with that.

    Raises:
        RuntimeError: this torch, or this processor, is not one that notebooks can have a GPU with.
    """
    folder = Path(torch.__file__).parent / "lib"
    start = ctypes.cast(getattr(ctypes.CDLL(str(folder / "libtorch_cpu.so")), _INITIALIZE), ctypes.c_void_p).value or 0
    code = ctypes.string_at(start, 64)
    position = code.find(_COMPARES_BYTE)
    if platform.machine() != "x86_64" or position < 0:
        raise RuntimeError("a notebook cannot have a GPU: torch's note on forks is not where it is known to be")
    offset = int.from_bytes(code[position + 2 : position + 6], "little", signed=True)
    note = ctypes.c_bool.from_address(start + position + 7 + offset)
    library = folder / "libc10_cuda.so"
    return note, getattr(ctypes.CDLL(str(library)), _SET_HAS_CONTEXT) if library.exists() else None
