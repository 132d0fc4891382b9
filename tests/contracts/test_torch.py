"""What grader/sandbox/ and grader/models/ rely on in torch: their modules of internals, and protocol/tensors.py."""

from __future__ import annotations

import inspect
import weakref
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from grader.models.modules import NORMALISATIONS
from grader.sandbox.guest.internals.torch import (
    LOSS_FUNCTIONS,
    LoaderPass,
    as_stock_tensors,
    become,
    make_empty_shell,
    read_version,
)
from tests.support.library_contracts import Library

TORCH = Library("torch")

OF_LOADERS = {
    "torch.utils.data:DataLoader._get_iterator": "self",
    "torch.utils.data.dataloader:_BaseDataLoaderIter.__init__": "self loader",
    "torch.utils.data.dataloader:_BaseDataLoaderIter._reset": "self loader first_iter",
    "torch.utils.data.dataloader:_BaseDataLoaderIter._next_data": "self",
    "torch.utils.data.dataloader:_DatasetKind.create_fetcher": "kind dataset auto_collation collate_fn drop_last",
    "torch.utils.data._utils.pin_memory:pin_memory": "data device",
    "torch.autograd:backward": "tensors grad_tensors retain_graph create_graph grad_variables inputs",
}
OF_TRACES = (
    "torch._C:_set_grad_enabled",
    "torch._C:_EnablePythonDispatcher",
    "torch._C:DispatchKey.PreDispatch",
    "torch._C:_TorchDispatchModeKey.PROXY",
    "torch._C:DisableTorchFunctionSubclass",
    "torch.amp.autocast_mode:_enter_autocast",
    "torch.amp.autocast_mode:_exit_autocast",
    "torch.fx._symbolic_trace:_is_fx_tracing_context",
    "torch.fx.experimental.proxy_tensor:PreDispatchTorchFunctionMode.__torch_function__",
    "torch.fx.experimental.proxy_tensor:ProxyTorchDispatchMode._should_skip_dynamo",
    "torch.fx.experimental.proxy_tensor:disable_autocast_cache",
    "torch.utils._pytree:tree_leaves",
    "torch.utils._pytree:tree_map_only",
    "torch.utils._python_dispatch:TorchDispatchMode._should_skip_dynamo",
    "torch.utils.weak:WeakTensorKeyDictionary",
)


@pytest.mark.parametrize("path", OF_LOADERS)
def test_a_function_of_loaders_is_there_with_its_parameters(path: str) -> None:
    TORCH.check_parameters(path, OF_LOADERS[path])


@pytest.mark.parametrize("path", OF_TRACES)
def test_a_part_of_traces_is_there(path: str) -> None:
    TORCH.find(path)


def test_a_mode_is_entered_with_the_attributes_that_are_set() -> None:
    mode = TORCH.find("torch.fx.experimental.proxy_tensor:ProxyTorchDispatchMode")
    source = inspect.getsource(mode)
    for use in ("self._mode_key = torch._C._TorchDispatchModeKey.PROXY", "self.enter_stack"):
        TORCH.check(use in source, f"ProxyTorchDispatchMode uses {use}")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_of_a_loader_draws_what_torch_draws(workers: int) -> None:
    data_set = TensorDataset(torch.arange(20.0))
    options: dict[str, Any] = {"batch_size": 6, "shuffle": True, "num_workers": workers}
    torch.manual_seed(3)
    stock = [batch[0].tolist() for batch in DataLoader(data_set, **options)]
    after_stock = torch.rand(())
    torch.manual_seed(3)
    batches = [batch[0].tolist() for batch in LoaderPass(DataLoader(data_set, **options))]
    TORCH.check(batches == stock, "a pass over a loader gives the same batches")
    TORCH.check(torch.rand(()) == after_stock, "a pass over a loader draws the same numbers")


@pytest.mark.parametrize(
    ("name", "compute"),
    [
        ("cross_entropy_loss", lambda X, y: F.cross_entropy(X, y)),
        ("nll_loss_nd", lambda X, y: F.nll_loss(X, y)),
        ("mse_loss", lambda X, y: F.mse_loss(X, X)),
        ("l1_loss", lambda X, y: F.l1_loss(X, X)),
        ("smooth_l1_loss", lambda X, y: F.smooth_l1_loss(X, X)),
        ("huber_loss", lambda X, y: F.huber_loss(X, X)),
        ("multi_margin_loss", lambda X, y: F.multi_margin_loss(X, y)),
        ("binary_cross_entropy", lambda X, y: F.binary_cross_entropy(X, X)),
        ("binary_cross_entropy_with_logits", lambda X, y: F.binary_cross_entropy_with_logits(X, X)),
        ("kl_div", lambda X, y: F.kl_div(X, X, reduction="batchmean")),
    ],
)
def test_a_loss_calls_the_function_that_is_replaced(name: str, compute: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = next(owner for owner, names in LOSS_FUNCTIONS if name in names)
    stock, calls = getattr(owner, name), []

    def count(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return stock(*args, **kwargs)

    monkeypatch.setattr(owner, name, count)
    compute(torch.full((2, 3), 0.5), torch.tensor([0, 1]))
    TORCH.check(calls, f"{owner.__name__}.{name} is called by torch.nn.functional")


def test_a_tensor_counts_its_changes() -> None:
    X = torch.zeros(2)
    before = read_version(X)
    X.add_(1)
    TORCH.check(read_version(X) > before, "Tensor._version counts changes in place")


def test_views_of_a_tensor_share_a_number() -> None:
    X = torch.empty(4, device="meta")
    number = X.untyped_storage()._cdata
    other = torch.empty(4, device="meta").untyped_storage()._cdata
    TORCH.check(
        number == X[:2].untyped_storage()._cdata and number != other, "UntypedStorage._cdata tells memory apart"
    )


def test_lazy_parameters_list_what_may_be_called() -> None:
    mixin = TORCH.find("torch.nn.parameter:UninitializedTensorMixin")
    TORCH.check(torch.Tensor.to in mixin._allowed_methods, "UninitializedTensorMixin._allowed_methods has Tensor.to")


def test_autograd_names_operations_as_before() -> None:
    X = torch.zeros(2, 3, requires_grad=True)
    for made, name in ((X.sigmoid(), "Sigmoid"), (X.relu(), "Relu"), (X.tanh(), "Tanh"), (X.view(3, 2), "View")):
        TORCH.check(made.grad_fn and made.grad_fn.name() == f"{name}Backward0", f"autograd's name {name}Backward0")


def test_all_classes_with_modes_and_statistics_are_known() -> None:
    private: Any = nn.modules
    normalisations = private.batchnorm._NormBase
    known = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, normalisations)}
    lazy = {kind for kind in known if kind.__name__.startswith("Lazy")}  # they become another class when they run
    TORCH.check(known - lazy == set(NORMALISATIONS), "the classes with running statistics")


def test_the_meta_device_knows_functions_from_its_first_use_on() -> None:
    """The stand-ins for a GPU replace functions after torch has listed them."""
    constructors = TORCH.find("torch.utils._device:_device_constructors")
    with torch.device("meta"):
        torch.empty(0)
    TORCH.check(torch.zeros in constructors(), "torch.device as a context lists functions once")
    TORCH.check(hasattr(constructors, "cache_info"), "the list is kept")


def test_a_device_as_a_context_is_what_its_class_is_made_with() -> None:
    TORCH.check_parameters("torch.utils._device:DeviceContext.__init__", "self device")
    with torch.device("meta"):
        TORCH.check(torch.ones(1).device.type == "meta", "a device as a context")


class Shell(torch.Tensor):
    """A tensor without memory that notes what is asked of it."""

    asked: list[Any] = []  # noqa: RUF012

    @staticmethod
    def __new__(cls) -> Any:
        return make_empty_shell(cls, (2, 1, 4, 4), torch.float64)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.asked.append(func)
        with as_stock_tensors():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise AssertionError(f"{func} came to a tensor without memory")


def test_a_tensor_without_memory_has_a_shape_a_type_and_a_device() -> None:
    shell = Shell()
    TORCH.check(shell.shape == (2, 1, 4, 4), "_make_wrapper_subclass sets the shape")
    TORCH.check((shell.dtype, shell.device.type) == (torch.float64, "cpu"), "_make_wrapper_subclass sets the type")
    TORCH.check(shell.stride() == (16, 16, 4, 1), "_make_wrapper_subclass makes contiguous tensors")


def test_a_subclass_is_asked_with_functions_that_can_be_compared() -> None:
    Shell.asked.clear()
    shell = Shell()
    for use in (lambda: shell.shape, lambda: shell.to(torch.float64), lambda: len(shell), lambda: torch.numel(shell)):
        use()
    getter: Any = torch.Tensor.shape
    expected = [getter.__get__, torch.Tensor.to, torch.Tensor.__len__, torch.numel]
    TORCH.check(Shell.asked == expected, "__torch_function__ gets getters, methods and functions")


def test_a_tensor_becomes_another_in_all_variables() -> None:
    shell, plain = Shell(), torch.ones(3)
    others = [shell]
    TORCH.check(become(shell, plain), "swap_tensors swaps tensors that nothing refers to")
    TORCH.check(type(others[0]) is torch.Tensor, "swap_tensors swaps the class")
    TORCH.check(torch.equal(others[0], torch.ones(3)), "swap_tensors swaps the memory")


def test_a_tensor_with_a_weak_reference_stays_as_it_is() -> None:
    shell = Shell()
    reference = weakref.ref(shell)
    TORCH.check(not become(shell, torch.ones(3)), "swap_tensors refuses a tensor with a weak reference")
    TORCH.check(type(reference()) is Shell, "swap_tensors changes nothing that it refuses")
