"""Serve on the CPU a notebook that asks for a GPU where there is none, and say so once in each cell.

Nothing is replaced before a cell mentions a GPU. Served are `.to` and `.cuda` of tensors and modules, `device=` of the
functions that make tensors and of layers, `torch.set_default_device`, and what notebooks often ask of `torch.cuda`.
Not served: `with torch.device("cuda")`, `map_location="cuda"`, a generator on "cuda", `new_zeros(device="cuda")` and
the like, and code that expects a tensor's device to be "cuda". `torch.cuda.is_available()` tells the truth.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from typing import Any

import torch

from grader.sandbox.guest.internals.replacement import replace_attribute
from grader.sandbox.guest.internals.torch import allow_for_lazy_parameters

__all__ = ["NOTICE", "serve_on_cpu"]

NOTICE = "there is no GPU here: what asks for one runs on the CPU"
_MENTIONS_GPU = re.compile("cuda|gpu", re.IGNORECASE)
_FACTORIES = (
    *("arange", "as_tensor", "empty", "empty_like", "eye", "full", "full_like", "linspace", "logspace", "ones"),
    *("ones_like", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "tensor"),
    *("zeros", "zeros_like"),
)


def serve_on_cpu(shell: Any, notify: Callable[[str, str], None]) -> None:
    """Prepare for notebooks that ask for a GPU.

    Args:
        shell: IPython's.
        notify: takes the notice and its kind, once for each cell that was served.
    """
    service = _CpuService(notify)
    shell.events.register("pre_run_cell", service.begin_cell)


class _CpuService:
    def __init__(self, notify: Callable[[str, str], None]) -> None:
        self._notify = notify
        self._served = False
        self._ready = False

    def begin_cell(self, info: Any) -> None:
        self._served = False
        if not self._ready and _MENTIONS_GPU.search(str(info.raw_cell)):
            self._ready = True
            if not torch.cuda.is_available():
                self._replace_functions()

    def _replace_functions(self) -> None:
        # torch.device("meta") as a context recognises these functions by identity, from its first use on.
        with torch.device("meta"):
            torch.empty(0)
        for name in (*_FACTORIES, "set_default_device"):
            replace_attribute(torch, name, self._on_cpu(getattr(torch, name)))
        replace_attribute(torch.Tensor, "to", self._on_cpu(torch.Tensor.to))
        allow_for_lazy_parameters(torch.Tensor.to)  # so that lazy layers can be moved
        for name in ("set_device", "synchronize"):
            self._answer(torch.cuda, name, lambda *_, **__: None)
        self._answer(torch.cuda, "get_device_name", lambda *_, **__: "no GPU")
        self._answer(torch.Tensor, "cuda", lambda tensor, *_, **__: tensor)

    def _on_cpu(self, stock: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that passes the CPU on to `stock` if it is given a GPU."""

        @functools.wraps(stock)
        def served(*args: Any, **kwargs: Any) -> Any:
            device = kwargs.get("device")
            if device is not None and _is_gpu(device):
                self._say_once()
                kwargs["device"] = torch.device("cpu")
            if any(map(_is_gpu, args)):
                self._say_once()
                args = tuple(torch.device("cpu") if _is_gpu(arg) else arg for arg in args)
            return stock(*args, **kwargs)

        return served

    def _answer(self, owner: Any, name: str, answer: Callable[..., Any]) -> None:
        """Replace a function by `answer`."""

        @functools.wraps(getattr(owner, name))
        def served(*args: Any, **kwargs: Any) -> Any:
            self._say_once()
            return answer(*args, **kwargs)

        replace_attribute(owner, name, served)

    def _say_once(self) -> None:
        if not self._served:
            self._served = True
            sys.stdout.write(f"({NOTICE})\n")
            self._notify(NOTICE, "no GPU")


def _is_gpu(value: Any) -> bool:
    """Return whether an argument names a GPU, as an object or as text."""
    kind = type(value)
    return (kind is torch.device and value.type == "cuda") or (kind is str and value.partition(":")[0] == "cuda")
