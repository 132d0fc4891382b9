"""A stand-in for `torch.cuda` that computes on the CPU, with graphs that repeat what was recorded and nothing else.

A recorded graph holds the operations below autograd, on the tensors that they had. Repeating it runs no Python of the
step: what a step does in Python, or takes from a number, happens once. As on a GPU, a recording computes nothing, and
an operation that waits for the device is refused.

    python -c 'from tests.support.stand_in_cuda import serve; serve("hangs", "FOLDER")' FD cuda
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from grader.training.accelerator import CUDA
from grader.training.trainer_process import main

__all__ = ["SCENARIOS", "StandInCUDA", "make_command", "make_cuda_error", "serve"]

_WAITS = {"_local_scalar_dense", "nonzero", "equal", "is_nonzero", "_assert_async"}
_MEMORY = 10 * 2**30


def make_cuda_error(text: str, number: int | None = None) -> RuntimeError:
    """Return the error that torch raises for an error of CUDA."""
    error = torch.AcceleratorError(f"CUDA error: {text}")
    if number is not None:
        error.error_code = number  # type: ignore[attr-defined]
    return error


class _Recording(TorchDispatchMode):
    """Notes each operation, and what memory from outside held before."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._made: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in _WAITS:
            raise make_cuda_error("operation not permitted when stream is capturing", 900)
        kwargs = kwargs or {}
        for storage in _list_storages((args, kwargs)):
            if storage.data_ptr() not in self._made:
                self._before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        result = func(*args, **kwargs)
        self._made |= {item.data_ptr() for item in _list_storages(result) if item.data_ptr() not in self._before}
        self.operations.append((func, args, kwargs, result))
        return result

    def undo(self) -> None:
        """Restore memory that was there before the recording."""
        for storage, before in self._before.values():
            storage.copy_(before)


def _list_storages(values: Any) -> list[torch.UntypedStorage]:
    return [value.untyped_storage() for value in tree_leaves(values) if isinstance(value, Tensor)]


class _Graph:
    def __init__(self) -> None:
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    def replay(self) -> None:
        """Compute each operation again, into the memory that it had."""
        self.replays += 1
        with torch.no_grad(), torch._C._AutoDispatchBelowAutograd():
            for func, args, kwargs, result in self.operations:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor) and old.untyped_storage().data_ptr() != new.untyped_storage().data_ptr():
                        old.copy_(new)


class StandInCUDA:
    """What `CUDA` asks `torch.cuda`.

    Args:
        gpus: how many GPUs there are.
        at_step: called whenever a step is taken eagerly, with the share of memory that may be used.
        at_capture: called in each recording.

    Attributes:
        calls: the names of the functions that were called, in order.
        graphs: the recorded graphs.
    """

    def __init__(
        self,
        gpus: int = 1,
        at_step: Callable[[float], None] = lambda share: None,
        at_capture: Callable[[], None] = lambda: None,
    ) -> None:
        self.calls: list[str] = []
        self.graphs: list[_Graph] = []
        self._gpus, self._at_step, self._at_capture, self._share = gpus, at_step, at_capture, 1.0

    def is_available(self) -> bool:
        """Return whether there are GPUs."""
        return self._gpus > 0

    def device_count(self) -> int:
        """Return how many."""
        return self._gpus

    def get_device_properties(self, device: torch.device) -> Any:
        """Return those of a GPU."""
        return SimpleNamespace(name="Stand-in", major=9, minor=0, multi_processor_count=132, total_memory=_MEMORY)

    def set_per_process_memory_fraction(self, share: float, device: torch.device) -> None:
        """Note the share."""
        self.calls.append("set_per_process_memory_fraction")
        self._share = share

    def synchronize(self) -> None:
        """Note that somebody waited."""
        self.calls.append("synchronize")

    def empty_cache(self) -> None:
        """Note that memory was given back."""
        self.calls.append("empty_cache")

    def Stream(self) -> Any:  # noqa: N802
        """Return a stream on which the other one waits, and the other way round."""
        self.calls.append("Stream")
        return SimpleNamespace(wait_stream=lambda other: self.calls.append("side waits"))

    def current_stream(self) -> Any:
        """Return the usual stream."""
        return SimpleNamespace(wait_stream=lambda other: self.calls.append("main waits"))

    @contextmanager
    def stream(self, stream: Any) -> Iterator[None]:
        """Take a step on a stream."""
        self._at_step(self._share)
        yield

    def CUDAGraph(self) -> _Graph:  # noqa: N802
        """Return an empty graph."""
        self.graphs.append(_Graph())
        return self.graphs[-1]

    @contextmanager
    def graph(self, graph: _Graph) -> Iterator[None]:
        """Record what happens in the body."""
        self.calls.append("graph")
        self._at_capture()
        random, recording = torch.get_rng_state(), _Recording()
        try:
            with recording:
                yield
        finally:
            recording.undo()
            torch.set_rng_state(random)
        graph.operations = recording.operations


def _raise(error: Exception) -> None:
    raise error


def _refuse_memory(share: float) -> None:
    if share < 1:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def _make_killer(folder: Path, times: int) -> Callable[[float], None]:
    """Return what kills this process, and those after it, so many times in all."""

    def kill(share: float) -> None:
        before = len(list(folder.glob("killed-*")))
        if before < times:
            (folder / f"killed-{before}").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


def _note_start(folder: Path) -> None:
    """Note how many trainings run at this moment, this one included."""
    (folder / f"started-{time.monotonic_ns()}-{os.getpid()}").write_text(os.environ["CUDA_VISIBLE_DEVICES"])


SCENARIOS: dict[str, Callable[[Path], StandInCUDA]] = {
    "works": lambda folder: StandInCUDA(at_step=lambda share: _note_start(folder)),
    "has memory for one alone": lambda folder: StandInCUDA(at_step=_refuse_memory),
    "has too little memory": lambda folder: StandInCUDA(
        at_step=lambda share: _raise(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    ),
    "records nothing": lambda folder: StandInCUDA(
        at_capture=lambda: _raise(make_cuda_error("operation not permitted when stream is capturing", 900))
    ),
    "fails": lambda folder: StandInCUDA(
        at_step=lambda share: _raise(make_cuda_error("uncorrectable ECC error encountered", 214))
    ),
    "is misused": lambda folder: StandInCUDA(
        at_step=lambda share: _raise(make_cuda_error("an illegal memory access was encountered", 700))
    ),
    "has vanished": lambda folder: StandInCUDA(gpus=0),
    "hangs": lambda folder: StandInCUDA(at_step=lambda share: time.sleep(1000)),
    "is killed once": lambda folder: StandInCUDA(at_step=_make_killer(folder, 1)),
    "is killed each time": lambda folder: StandInCUDA(at_step=_make_killer(folder, 9)),
}


def serve(scenario: str, folder: str) -> None:
    """Be a process that trains on a stand-in GPU."""
    main(int(sys.argv[1]), CUDA(SCENARIOS[scenario](Path(folder)), torch.device("cpu")))


def make_command(scenario: str, folder: Path) -> Sequence[str]:
    """Return the command that starts such a process."""
    code = f"from tests.support.stand_in_cuda import serve; serve({scenario!r}, {str(folder)!r})"
    return (sys.executable, "-c", code)
