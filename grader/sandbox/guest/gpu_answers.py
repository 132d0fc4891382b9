"""What `torch.cuda` and `torch.mps` answer on a machine without a GPU: nothing is there, and waiting takes no time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch

__all__ = ["ANSWERS", "CLASSES", "FORK_ANSWERS", "make_generator_class"]

_STOCK_EVENT, _STOCK_STREAM = torch.cuda.Event, torch.cuda.Stream


class _Event:
    """Stand in for `torch.cuda.Event`: what is measured between two of them is the CPU's time."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._recorded: float | None = None

    def record(self, *_: Any, **__: Any) -> None:
        self._recorded = time.perf_counter()

    def elapsed_time(self, end_event: _Event) -> float:
        """Return the milliseconds from this event to another.

        Raises:
            RuntimeError: one of them was not recorded.
        """
        if self._recorded is None or end_event._recorded is None:
            raise RuntimeError("Both events must be recorded before calculating elapsed time.")
        return 1000 * (end_event._recorded - self._recorded)

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        return None

    def wait(self, *_: Any) -> None:
        return None


class _Stream(contextlib.AbstractContextManager["_Stream"]):
    """Stand in for `torch.cuda.Stream`, and for the contexts that choose a stream or a device."""

    def __init__(self, *_: Any, **__: Any) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def query(self) -> bool:
        return True

    def record_event(self, event: Any = None) -> Any:
        event = event or _Event()
        event.record()
        return event

    def synchronize(self) -> None:
        return None

    def wait_event(self, _: Any) -> None:
        return None

    def wait_stream(self, _: Any) -> None:
        return None


def _describe_device(*_: Any, **__: Any) -> SimpleNamespace:
    return SimpleNamespace(name="no GPU", total_memory=0, major=0, minor=0, multi_processor_count=0)


def _answer(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


_NOTHING = (
    *("set_device", "synchronize", "empty_cache", "ipc_collect", "init", "set_per_process_memory_fraction"),
    *("reset_peak_memory_stats", "reset_max_memory_allocated", "reset_max_memory_cached", "set_rng_state"),
    *("reset_accumulated_memory_stats", "set_rng_state_all", "set_stream", "seed", "seed_all"),
)
_CUDA: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(_NOTHING, _answer(None)),
    **dict.fromkeys(("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"), _answer(0)),
    **dict.fromkeys(
        ("current_device", "initial_seed", "utilization", "temperature", "power_draw", "clock_rate"), _answer(0)
    ),
    **dict.fromkeys(("current_stream", "default_stream"), lambda *_, **__: _Stream()),
    "get_device_capability": _answer((0, 0)),
    "get_device_name": _answer("no GPU"),
    "get_device_properties": _describe_device,
    "get_rng_state": lambda *_, **__: torch.get_rng_state(),
    "get_rng_state_all": lambda *_, **__: [],
    "list_gpu_processes": _answer("no GPU"),
    "mem_get_info": _answer((0, 0)),
    "memory_summary": _answer("no GPU"),
}
_MPS = dict.fromkeys(("empty_cache", "synchronize", "manual_seed", "seed", "set_rng_state"), _answer(None))
_TENSOR: Mapping[str, Callable[..., Any]] = {
    "cuda": lambda tensor, *_, **__: tensor,
    "pin_memory": lambda tensor, *_, **__: tensor,
    "record_stream": _answer(None),
}

# Functions by their owner, and what they return instead.
ANSWERS: tuple[tuple[Any, Mapping[str, Callable[..., Any]]], ...] = (
    (torch.cuda, _CUDA),
    (torch.mps, {**_MPS, "current_allocated_memory": _answer(0), "driver_allocated_memory": _answer(0)}),
    (torch.Tensor, _TENSOR),
)
# In forks of a kernel with a GPU: what it found there, and nothing to do for streams and events that it made.
_EVENT = dict.fromkeys(("record", "synchronize", "wait"), _answer(None))
_STREAM = dict.fromkeys(("synchronize", "wait_event", "wait_stream"), _answer(None))
FORK_ANSWERS: tuple[tuple[Any, Mapping[str, Callable[..., Any]]], ...] = (
    (torch.cuda, {"is_available": _answer(True), "device_count": _answer(1), "is_bf16_supported": _answer(True)}),
    (torch.accelerator, {"is_available": _answer(False)}),  # else torch pins memory, which takes a driver
    (_STOCK_EVENT, {**_EVENT, "query": _answer(True), "elapsed_time": _answer(0.0)}),
    (_STOCK_STREAM, {**_STREAM, "query": _answer(True), "record_event": lambda _, event=None: event or _Event()}),
)
_TENSOR_TYPES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
# Classes of torch.cuda, and what takes their place.
CLASSES: Mapping[str, Any] = {
    **dict.fromkeys(("device", "device_of", "stream", "Stream"), _Stream),
    **{f"{name}Tensor": getattr(torch, f"{name}Tensor") for name in _TENSOR_TYPES},
    "Event": _Event,
}


def make_generator_class(choose: Callable[[Any], Any]) -> Any:
    """Return a class in place of `torch.Generator`. It makes torch's own generators, on the device `choose` returns."""
    stock: Any = torch.Generator

    class _AnyGenerator(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, stock)

    class Generator(metaclass=_AnyGenerator):
        def __new__(cls, device: Any = "cpu") -> Any:
            return stock(device=choose(device))

    return Generator
