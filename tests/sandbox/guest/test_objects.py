"""The student's objects as plain data: whatever layout, subclass or package they come in."""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from grader.sandbox.guest.objects import Objects, is_unchanged, read_small_value
from grader.sandbox.protocol.encoding import ITEM_BYTES, Array, Failure, Handle, decode, encode
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array


class Hostile(torch.Tensor):
    """A tensor that lies about everything that torch can ask."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError("not for you")

    def numpy(self, *_: Any, **__: Any) -> Any:
        return numpy.full(3, 42.0)

    def detach(self) -> Any:
        return torch.full((3,), 42.0)


def _leaf() -> torch.Tensor:
    return torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)


def _sparse(layout: str) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sparse layouts are in beta
        dense = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
        return dense.to_sparse() if layout == "coo" else dense.to_sparse_csr()


TENSORS = {
    "contiguous": (torch.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
    "transposed": (torch.arange(6).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]]),
    "strided": (torch.arange(10)[1::4], [1, 5, 9]),
    "expanded": (torch.tensor([1.5]).expand(2, 2), [[1.5, 1.5], [1.5, 1.5]]),
    "channels last": (torch.arange(8.0).reshape(1, 2, 2, 2).to(memory_format=torch.channels_last), None),
    "a number": (torch.tensor(7), 7),
    "empty": (torch.empty(0, 3), []),
    "a view in the middle": (torch.arange(10.0)[3:5], [3.0, 4.0]),
    "a leaf that wants gradients": (_leaf(), [[1.0, 2.0], [3.0, 4.0]]),
    "a result that wants gradients": (_leaf() * 2, [[2.0, 4.0], [6.0, 8.0]]),
    "a parameter": (nn.Parameter(torch.tensor([1.0])), [1.0]),
    "conjugated": (torch.tensor([1 + 2j]).conj(), [1 - 2j]),
    "negated by conjugation": (torch.tensor([1 + 2j, 3 - 4j]).conj().imag, [-2.0, 4.0]),
    "negated lazily": (torch._neg_view(torch.tensor([1.0, -2.0])), [-1.0, 2.0]),
    "sparse": (_sparse("coo"), [[0.0, 2.0], [3.0, 0.0]]),
    "sparse by rows": (_sparse("csr"), [[0.0, 2.0], [3.0, 0.0]]),
    "a subclass that lies": (torch.tensor([1.0, 2.0, 3.0]).as_subclass(Hostile), [1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize(("tensor", "values"), TENSORS.values(), ids=TENSORS.keys())
def test_a_tensor_is_packed_with_its_values_whatever_its_layout(tensor: torch.Tensor, values: Any) -> None:
    array = Objects().pack(tensor)
    assert isinstance(array, Array)
    back = array_to_tensor(decode(encode(array)))
    expected = torch.arange(8.0).reshape(1, 2, 2, 2) if values is None else torch.tensor(values)
    assert torch.equal(back, expected.reshape(back.shape) if expected.numel() == 0 else expected)


@pytest.mark.parametrize("dtype", ITEM_BYTES)
def test_a_tensor_keeps_its_dtype(dtype: str) -> None:
    array = tensor_to_array(torch.ones(2, 2).to(getattr(torch, dtype)))
    assert isinstance(array, Array)
    assert (array.dtype, array.shape, len(array.data)) == (dtype, (2, 2), 4 * ITEM_BYTES[dtype])


def test_a_tensor_of_another_dtype_is_a_named_failure() -> None:
    assert tensor_to_array(torch.zeros(2, dtype=torch.uint16)) == Failure(
        "Malformed", "a tensor of dtype torch.uint16 is no plain data"
    )


def test_an_unpacked_tensor_shares_no_memory_with_its_array() -> None:
    array = Array("uint8", (3,), b"abc")
    array_to_tensor(array).zero_()
    assert array_to_tensor(array).tolist() == [97, 98, 99]


NUMPY = {
    "floats": (numpy.array([[1.5, 2.5]]), torch.tensor([[1.5, 2.5]], dtype=torch.float64)),
    "integers": (numpy.arange(3, dtype=numpy.int32), torch.arange(3, dtype=torch.int32)),
    "booleans": (numpy.array([True, False]), torch.tensor([True, False])),
    "complex": (numpy.array([1j], dtype=numpy.complex64), torch.tensor([1j])),
    "reversed": (numpy.arange(3)[::-1], torch.tensor([2, 1, 0])),
    "transposed": (numpy.arange(4).reshape(2, 2).T, torch.tensor([[0, 2], [1, 3]])),
    "empty": (numpy.zeros((0, 2)), torch.zeros((0, 2), dtype=torch.float64)),
    "a number": (numpy.array(5.0), torch.tensor(5.0, dtype=torch.float64)),
    "big-endian": (numpy.array([1.0, 2.0], dtype=">f4"), torch.tensor([1.0, 2.0])),
}


@pytest.mark.parametrize(("array", "expected"), NUMPY.values(), ids=NUMPY.keys())
def test_a_numpy_array_is_packed_like_a_tensor(array: Any, expected: torch.Tensor) -> None:
    packed = Objects().pack(array)
    assert isinstance(packed, Array)
    back = array_to_tensor(packed)
    assert (back.shape, back.dtype) == (expected.shape, expected.dtype)
    assert torch.equal(back, expected)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [(numpy.float32(0.5), 0.5), (numpy.int64(-3), -3), (numpy.bool_(True), True), (numpy.float64(2.5), 2.5)],
    ids=["float32", "int64", "bool", "float64"],
)
def test_a_numpy_scalar_is_packed_as_a_number(scalar: Any, value: Any) -> None:
    packed = Objects().pack(scalar)
    assert (packed, type(packed)) == (value, type(value))


Pair = namedtuple("Pair", "first second")


def test_containers_are_packed_as_tuples_and_dicts() -> None:
    objects = Objects()
    assert objects.pack([1, (2.0, "three"), None, True]) == (1, (2.0, "three"), None, True)
    assert objects.pack(Pair(1, [2])) == (1, (2,))
    assert objects.pack(torch.Size([2, 3])) == (2, 3)
    assert objects.pack(OrderedDict(a=1, b={2: 3})) == {"a": 1, "b": {"2": 3}}


def test_an_object_is_packed_as_a_handle_that_leads_back_to_it() -> None:
    objects = Objects()
    things = [nn.Linear(1, 1), nn.Linear, len, {1}, object(), 2**5000, list(range(10_001)), 1j]
    handles = [objects.pack(thing) for thing in things]
    assert [handle.kind for handle in handles] == ["module", "class", "function", *["object"] * 5]
    assert [handle.type_name for handle in handles[:4]] == ["Linear", "type", "builtin_function_or_method", "set"]
    assert all(objects.unpack(handle) is thing for handle, thing in zip(handles, things, strict=True))


def test_a_container_of_itself_is_packed_in_bounded_depth() -> None:
    endless: list[Any] = [1]
    endless.append(endless)
    encode(Objects().pack(endless))


def test_handles_and_data_can_be_mixed() -> None:
    objects = Objects()
    layer = nn.Linear(1, 1)
    kept = objects.keep(layer)
    assert isinstance(kept, Handle)
    came = objects.unpack({"args": (kept, Array("uint8", (1,), b"\2")), "x": 1})
    assert came["args"][0] is layer
    assert came["args"][1].tolist() == [2]
    assert came["x"] == 1


def _sent_and_kept() -> tuple[Any, Any]:
    array = tensor_to_array(torch.tensor([1.0, 2.0, float("nan")]))
    sent = ((array, 3, (array, {"deep": array})), {"K": array})
    return sent, Objects().unpack(sent)


def test_arguments_that_were_only_read_are_unchanged() -> None:
    sent, kept = _sent_and_kept()
    kept[0][0].sum()
    kept[0][0].clone().zero_()
    assert is_unchanged(sent, kept)


@pytest.mark.parametrize("reach", ["first", "nested", "in a dict in a tuple", "keyword"])
@pytest.mark.parametrize("change", ["add", "nan", "resize", "sign of zero", "dtype", "swap"])
def test_arguments_changed_in_place_are_noticed(reach: str, change: str) -> None:
    sent, kept = _sent_and_kept()
    tensor = {
        "first": lambda: kept[0][0],
        "nested": lambda: kept[0][2][0],
        "in a dict in a tuple": lambda: kept[0][2][1]["deep"],
        "keyword": lambda: kept[1]["K"],
    }[reach]()
    match change:
        case "add":
            tensor.add_(1)
        case "nan":
            tensor[0] = float("nan")
        case "resize":
            tensor.unsqueeze_(0)
        case "sign of zero":
            tensor.mul_(-1)
        case "dtype":
            tensor.data = tensor.double()
        case "swap":
            tensor.set_(torch.zeros(3))
    assert not is_unchanged(sent, kept)


def test_a_tensor_taken_out_of_an_argument_is_noticed() -> None:
    sent, kept = _sent_and_kept()
    kept[0][2][1].pop("deep")
    assert not is_unchanged(sent, kept)


def test_small_values_are_noted_and_large_or_strange_ones_are_not() -> None:
    assert read_small_value(torch.tensor([1.0])) == tensor_to_array(torch.tensor([1.0]))
    assert read_small_value(numpy.array([1, 2])) == tensor_to_array(torch.tensor([1, 2]))
    assert read_small_value(torch.Size([6, 8])) == (6, 8)
    assert read_small_value((3, 4)) == (3, 4)
    assert isinstance(read_small_value(torch.zeros(1024)), Array)
    strange: list[Any] = [
        *(torch.zeros(1025), torch.zeros(0), torch.zeros((1,) * 7), numpy.zeros(2000), numpy.array(["a"])),
        *((), (1,) * 9, (1, 2.0), (True,), [1, 2], "text", None, 5, object()),
    ]
    assert [thing for thing in strange if read_small_value(thing) is not None] == []


def test_a_number_in_an_array_of_numpy_is_noted_with_its_shape() -> None:
    value = read_small_value(numpy.array(5.0))
    assert isinstance(value, Array)
    assert value.shape == ()


def test_small_layers_are_noted_by_their_parameters() -> None:
    noted = read_small_value(nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False))
    assert {name: array.shape for name, array in noted.items()} == {"weight": (1, 1, 1, 2)}
    assert set(read_small_value(nn.Linear(2, 1))) == {"weight", "bias"}
    assert read_small_value(nn.Linear(100, 100)) is None
    assert read_small_value(nn.ReLU()) is None
    assert read_small_value(nn.LazyLinear(3)) is None


def test_reading_a_hostile_object_finds_nothing() -> None:
    class Liar:
        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise RuntimeError("do not look")

    class Broken(nn.Module):
        def named_parameters(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("no")

    assert read_small_value(Liar()) is None
    assert read_small_value(Broken()) is None
    assert read_small_value(torch.tensor([1.0]).as_subclass(Hostile)) in (None, tensor_to_array(torch.tensor([1.0])))
