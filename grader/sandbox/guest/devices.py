"""Serve on the CPU a notebook that asks for a GPU where there is none, and say so once in each cell.

Nothing is replaced before a cell mentions a GPU (CUDA's or Apple's). Served are `.to` and `.cuda` of tensors and
modules, `device=` of the functions that make tensors, of layers and of generators, `with torch.device("cuda")`,
`torch.set_default_device`, tensor types of `torch.cuda`, `map_location`, and what notebooks ask of `torch.cuda` and
`torch.mps` (gpu_answers.py). Not served is code that expects a tensor's device to be "cuda".
`torch.cuda.is_available()` tells the truth.

A kernel with a GPU is left alone. Its forks are not, because they cannot use the GPU: there all of this is in place
from the start and says nothing, and the questions about GPUs are answered as in the kernel.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from typing import Any

import torch

from grader.sandbox.guest.gpu_answers import ANSWERS, CLASSES, FORK_ANSWERS, make_generator_class
from grader.sandbox.guest.internals.replacement import replace_attribute
from grader.sandbox.guest.internals.torch import allow_for_lazy_parameters, choose_in_device_contexts
from grader.sandbox.guest.internals.torch_devices import find_device_kinds

__all__ = ["NOTICE", "serve_fork_on_cpu", "serve_on_cpu"]

NOTICE = "there is no GPU here: what asks for one runs on the CPU"
_MENTIONS_GPU = re.compile(r"cuda|gpu|\bmps\b", re.IGNORECASE)
_FACTORIES = (
    *("arange", "as_tensor", "asarray", "empty", "empty_like", "empty_strided", "eye", "full", "full_like"),
    *("linspace", "logspace", "normal", "ones", "ones_like", "rand", "rand_like", "randint", "randint_like", "randn"),
    *("randn_like", "randperm", "scalar_tensor", "tensor", "tril_indices", "triu_indices", "zeros", "zeros_like"),
)
_CPU = torch.device("cpu")
_DRAWING = ("bernoulli", "multinomial", "normal_", "uniform_", "random_", "exponential_", "bernoulli_")
_METHODS = ("new_empty", "new_full", "new_ones", "new_tensor", "new_zeros")


def serve_on_cpu(shell: Any, notify: Callable[[str, str], None]) -> None:
    """Prepare for notebooks that ask for a GPU.

    Args:
        shell: IPython's.
        notify: takes the notice and its kind, once for each cell that was served.
    """
    service = _CpuService(notify)
    shell.events.register("pre_run_cell", service.begin_cell)


def serve_fork_on_cpu() -> None:
    """Serve on the CPU what asks for a device, in a fork of a kernel that has a GPU."""
    _CpuService(None).serve_fork()


class _CpuService:
    """The replacements. `notify` is None in a fork, which says nothing of them."""

    def __init__(self, notify: Callable[[str, str], None] | None) -> None:
        self._notify = notify
        self._generators: dict[int, tuple[Any, torch.Generator]] = {}
        self._served = notify is None
        self._ready = False

    def begin_cell(self, info: Any) -> None:
        self._served = False
        if not self._ready and _MENTIONS_GPU.search(str(info.raw_cell)):
            self._ready = True
            if not torch.cuda.is_available():
                self._replace_functions()

    def serve_fork(self) -> None:
        self._replace_functions()
        for name in _DRAWING:
            owner = torch if hasattr(torch, name) else torch.Tensor
            replace_attribute(owner, name, self._on_cpu(getattr(owner, name)))
        for owner, answers in FORK_ANSWERS:
            for name, answer in answers.items():
                self._answer(owner, name, answer)

    def _replace_functions(self) -> None:
        # torch.device("meta") as a context recognises these functions by identity, from its first use on.
        with torch.device("meta"):
            torch.empty(0)
        for name in (*_FACTORIES, "set_default_device"):
            replace_attribute(torch, name, self._on_cpu(getattr(torch, name)))
        for name in _METHODS:
            replace_attribute(torch.Tensor, name, self._on_cpu(getattr(torch.Tensor, name)))
        replace_attribute(torch.Tensor, "to", self._on_cpu(torch.Tensor.to, takes_number=True))
        allow_for_lazy_parameters(torch.Tensor.to)  # so that lazy layers can be moved
        replace_attribute(torch.Tensor, "type", self._of_cpu_type(torch.Tensor.type))
        replace_attribute(torch, "set_default_tensor_type", self._of_cpu_type(torch.set_default_tensor_type))
        replace_attribute(torch, "load", self._loading_to_cpu(torch.load))
        replace_attribute(torch, "Generator", make_generator_class(self._choose))
        choose_in_device_contexts(self._choose)
        for owner, answers in ANSWERS:
            for name, answer in answers.items():
                self._answer(owner, name, answer)
        for name, kind in CLASSES.items():
            replace_attribute(torch.cuda, name, kind)

    def _on_cpu(self, stock: Callable[..., Any], *, takes_number: bool = False) -> Callable[..., Any]:
        """Return a function that passes the CPU on to `stock` if it is given a GPU.

        Args:
            stock: torch's.
            takes_number: whether a number in place of a device is that of a GPU.
        """

        @functools.wraps(stock)
        def served(*args: Any, **kwargs: Any) -> Any:
            if self._notify is None:
                kwargs.pop("pin_memory", None)
                self._replace_generator(kwargs)
            device = kwargs.get("device")
            if device is not None and (_is_gpu(device) or type(device) is int):
                kwargs["device"] = self._choose(device)
            if any(map(_is_gpu, args)) or (takes_number and type(args[-1]) is int):
                self._say_once()
                args = tuple(_CPU if _is_gpu(arg) or (type(arg) is int and takes_number) else arg for arg in args)
            return stock(*args, **kwargs)

        return served

    def _replace_generator(self, kwargs: dict[str, Any]) -> None:
        """Put a generator of the CPU in the place of one that the notebook made on a device."""
        generator = kwargs.get("generator")
        if generator is not None and _is_gpu(generator.device):
            if id(generator) not in self._generators:
                own = torch.Generator().manual_seed(generator.initial_seed())
                self._generators[id(generator)] = (generator, own)
            kwargs["generator"] = self._generators[id(generator)][1]

    def _of_cpu_type(self, stock: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that passes a CPU's tensor type on to `stock` if it is given the name of a GPU's."""

        @functools.wraps(stock)
        def served(*args: Any, **kwargs: Any) -> Any:
            return stock(*(a.replace("torch.cuda.", "torch.") if type(a) is str else a for a in args), **kwargs)

        return served

    def _loading_to_cpu(self, stock: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that loads on the CPU what was saved on a GPU, or is asked for there."""

        @functools.wraps(stock)
        def served(f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
            if isinstance(map_location, dict):
                map_location = {source: self._choose(target) for source, target in map_location.items()}
            target = _CPU if map_location is None else self._choose(map_location)
            return stock(f, target, *args, **kwargs)

        return served

    def _choose(self, device: Any) -> Any:
        """Return the CPU for a GPU, and every other device as it is."""
        if not (_is_gpu(device) or type(device) is int):
            return device
        self._say_once()
        return _CPU

    def _answer(self, owner: Any, name: str, answer: Callable[..., Any]) -> None:
        """Replace a function by `answer`."""

        @functools.wraps(getattr(owner, name))
        def served(*args: Any, **kwargs: Any) -> Any:
            self._say_once()
            return answer(*args, **kwargs)

        replace_attribute(owner, name, served)

    def _say_once(self) -> None:
        if not self._served and self._notify is not None:
            self._served = True
            sys.stdout.write(f"({NOTICE})\n")
            self._notify(NOTICE, "no GPU")


def _is_gpu(value: Any) -> bool:
    """Return whether an argument names a GPU, as an object or as text."""
    kind = type(value)
    name = value.type if kind is torch.device else value.partition(":")[0] if kind is str else ""
    return name in find_device_kinds()
