"""What the forward trace uses of torch beyond its documented interface: the modes below its dispatcher.

`tests/contracts/test_torch.py` names torch when an upgrade moves a part. The three parts that `modules.py` uses stand
there, because the bundle for students takes that file alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._C import DispatchKey, _TorchDispatchModeKey
from torch.fx import _symbolic_trace
from torch.fx.experimental.proxy_tensor import (
    PreDispatchTorchFunctionMode,
    ProxyTorchDispatchMode,
    disable_autocast_cache,
)
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = [
    "ENTER_AUTOCAST",
    "EXIT_AUTOCAST",
    "SET_GRAD_ENABLED",
    "PreDispatchMode",
    "SwitchMode",
    "WeakTensorKeyDictionary",
    "find_leaves",
    "trace_before_dispatch",
]

SET_GRAD_ENABLED = torch._C._set_grad_enabled
ENTER_AUTOCAST = torch.amp.autocast_mode._enter_autocast
EXIT_AUTOCAST = torch.amp.autocast_mode._exit_autocast

# Return the leaves of nested lists, tuples and dictionaries.
find_leaves = pytree.tree_leaves


@contextmanager
def trace_before_dispatch() -> Iterator[None]:
    """Let modes see operations before torch takes them apart. What torch.compile made refuses to run here."""
    with _note_tracing(), disable_autocast_cache(), torch._C._EnablePythonDispatcher():
        yield


@contextmanager
def _note_tracing() -> Iterator[None]:
    if hasattr(_symbolic_trace, "_is_fx_tracing_context"):
        with _symbolic_trace._is_fx_tracing_context(True):
            yield
        return
    # The torch of a self-check may be older, and keeps a flag instead (tried with 2.8).
    flags = vars(_symbolic_trace)
    before = flags["_is_fx_tracing_flag"]
    flags["_is_fx_tracing_flag"] = True
    try:
        yield
    finally:
        flags["_is_fx_tracing_flag"] = before


class PreDispatchMode(ProxyTorchDispatchMode):
    """Takes the place of torch.fx's own mode: no other may see operations before they are taken apart."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self, DispatchKey.PreDispatch)
        self._mode_key = _TorchDispatchModeKey.PROXY
        self.enter_stack = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and skipping dynamo takes longer than noting an operation


class SwitchMode(PreDispatchTorchFunctionMode):
    """Sees what is no operation and yet changes what operations do, such as SET_GRAD_ENABLED."""

    def __init__(self) -> None:
        """Do not call torch.fx's own, which needs a tracer."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function."""
        return func(*args, **(kwargs or {}))
