"""A fork of a kernel that has a GPU: it goes on without one, as if the notebook had run on the CPU from now on."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from types import FunctionType
from typing import Any

import torch

from grader.sandbox.guest.devices import serve_fork_on_cpu
from grader.sandbox.guest.host_copies import HostCopies
from grader.sandbox.guest.internals.torch_devices import (
    allow_backward_after_fork,
    find_device_kinds,
    forget_default_devices,
)

__all__ = ["go_on_without_device"]

_CPU = torch.device("cpu")


def go_on_without_device(copies: HostCopies, namespace: dict[str, Any]) -> None:
    """Make everything of the notebook usable in this fork. Nothing here asks the device for anything.

    Args:
        copies: taken just before the fork.
        namespace: the kernel's.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    allow_backward_after_fork()
    copies.settle()
    with suppress(Exception):  # whatever a notebook did to torch, the rest is done
        forget_default_devices()
    _replace_devices(namespace)
    serve_fork_on_cpu()


def _replace_devices(namespace: dict[str, Any]) -> None:
    """Let what holds a device hold the CPU, so that comparing a tensor's device with it gives what it gave before."""
    kinds = find_device_kinds()
    for holder in [namespace, *gc.get_objects()]:
        with suppress(Exception):  # a student's container may refuse
            if type(holder) is dict:
                _replace_values(holder, kinds)
            elif type(holder) is list:
                for place, value in enumerate(holder):
                    if _names_device(value, kinds):
                        holder[place] = _CPU
            elif type(holder) is FunctionType:
                _replace_defaults(holder, kinds)
            elif type(holder).__dictoffset__ and not isinstance(holder, type):
                _replace_values(object.__getattribute__(holder, "__dict__"), kinds)


def _replace_values(values: dict[Any, Any], kinds: tuple[str, ...]) -> None:
    for key, value in list(values.items()):
        if _names_device(value, kinds):
            values[key] = _CPU


def _replace_defaults(function: FunctionType, kinds: tuple[str, ...]) -> None:
    defaults = function.__defaults__ or ()
    if any(_names_device(value, kinds) for value in defaults):
        function.__defaults__ = tuple(_CPU if _names_device(value, kinds) else value for value in defaults)
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # an empty one
            if _names_device(cell.cell_contents, kinds):
                cell.cell_contents = _CPU


def _names_device(value: Any, kinds: tuple[str, ...]) -> bool:
    return type(value) is torch.device and value.type in kinds
