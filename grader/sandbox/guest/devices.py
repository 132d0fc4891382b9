"""A notebook that asks for a GPU where there is none is served on the CPU, and says so once in each cell.

Nothing is touched before a cell speaks of a GPU. Served are `.to` and `.cuda` of tensors and modules, `device=` of the
functions that make tensors and of layers, `torch.set_default_device`, and what notebooks often ask of `torch.cuda`.
Not served: `with torch.device("cuda")`, `map_location="cuda"`, a generator on "cuda", `new_zeros(device="cuda")`
and the like, and whatever looks for a tensor's device to be "cuda". `torch.cuda.is_available()` tells the truth.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._device import _device_constructors

__all__ = ["NOTICE", "serve_on_cpu"]

NOTICE = "there is no GPU here: what asks for one runs on the CPU"
_SPEAKS_OF_ONE = re.compile("cuda|gpu", re.IGNORECASE)
_FACTORIES = (
    *("arange", "as_tensor", "empty", "empty_like", "eye", "full", "full_like", "linspace", "logspace", "ones"),
    *("ones_like", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "tensor"),
    *("zeros", "zeros_like"),
)


def serve_on_cpu(shell: Any, tell: Callable[[str], None]) -> None:
    """Be ready for notebooks that ask for a GPU.

    Args:
        shell: IPython's, which tells which cell begins.
        tell: takes the notice, once for each cell that was served.
    """
    service = _Service(tell)
    shell.events.register("pre_run_cell", service.begin_cell)


class _Service:
    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._served = False
        self._ready = False

    def begin_cell(self, info: Any) -> None:
        self._served = False
        if not self._ready and _SPEAKS_OF_ONE.search(str(info.raw_cell)):
            self._ready = True
            if not torch.cuda.is_available():
                self._replace()

    def _replace(self) -> None:
        # torch.device("meta") as a context knows these functions by identity, from when it is first asked.
        _device_constructors()
        for name in (*_FACTORIES, "set_default_device"):
            setattr(torch, name, self._on_cpu(getattr(torch, name)))
        torch.Tensor.to = self._on_cpu(torch.Tensor.to)  # type: ignore[method-assign]
        # The parameters of lazy layers let themselves be moved, and nothing else done with them.
        lazy: Any = nn.parameter
        lazy.UninitializedTensorMixin._allowed_methods.append(torch.Tensor.to)
        for name in ("set_device", "synchronize"):
            setattr(torch.cuda, name, self._instead(getattr(torch.cuda, name), lambda *_, **__: None))
        torch.cuda.get_device_name = self._instead(torch.cuda.get_device_name, lambda *_, **__: "no GPU")
        torch.Tensor.cuda = self._instead(torch.Tensor.cuda, lambda tensor, *_, **__: tensor)  # type: ignore[method-assign]

    def _on_cpu(self, stock: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is given the CPU for a GPU."""

        @functools.wraps(stock)
        def served(*args: Any, **kwargs: Any) -> Any:
            device = kwargs.get("device")
            if device is not None and _is_gpu(device):
                self._serve()
                kwargs["device"] = torch.device("cpu")
            if any(map(_is_gpu, args)):
                self._serve()
                args = tuple(torch.device("cpu") if _is_gpu(each) else each for each in args)
            return stock(*args, **kwargs)

        return served

    def _instead(self, stock: Callable[..., Any], answer: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(stock)
        def served(*args: Any, **kwargs: Any) -> Any:
            self._serve()
            return answer(*args, **kwargs)

        return served

    def _serve(self) -> None:
        if not self._served:
            self._served = True
            sys.stdout.write(f"({NOTICE})\n")
            self._tell(NOTICE)


def _is_gpu(thing: Any) -> bool:
    """Tell whether an argument names a GPU, as an object or as text."""
    kind = type(thing)
    return (kind is torch.device and thing.type == "cuda") or (kind is str and thing.partition(":")[0] == "cuda")
