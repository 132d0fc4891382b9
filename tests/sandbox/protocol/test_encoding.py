"""Frames of plain data: values survive a round trip, and invalid frames are refused."""

from __future__ import annotations

import math
import random
import struct
import tracemalloc
from typing import Any

import pytest
import torch

from grader.sandbox.protocol.encoding import ITEM_BYTES, Array, Failure, Handle, Malformed, decode, encode
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array

VALUES: list[Any] = [
    None,
    True,
    False,
    *(0, 1, -1, 127, 128, -128, -129, 255, 256, 2**63, -(2**63), 2**64, 2**2000, -(2**2000)),
    *(0.0, -0.0, 1.5, math.inf, -math.inf, 5e-324, 1.7976931348623157e308),
    *("", "text", "합성곱", "\0", "\ud800 alone", "\udc80", "\U0001d518", "x" * 100_000),
    (),
    (1, (2.0, ("three", None)), ()),
    {},
    {"": 1, "합성곱": (2, {"in": {"in": True}}), "\udfff": None},
    Handle(0, "function", "corr2d"),
    Handle(2**32 - 1, "", "\ud800"),
    Failure("ValueError", "no"),
    Failure("", ""),
    *(Array(dtype, (2, 3), bytes(range(6 * size)) if 6 * size < 256 else b"") for dtype, size in ITEM_BYTES.items()),
    *(Array(dtype, (), bytes(size)) for dtype, size in ITEM_BYTES.items()),
    Array("float32", (0,), b""),
    Array("float32", (3, 0, 2), b""),
    Array("uint8", (1,) * 16, b"\xff"),
]


@pytest.mark.parametrize(
    "value", VALUES, ids=[f"{number}-{type(value).__name__}" for number, value in enumerate(VALUES)]
)
def test_what_is_encoded_is_decoded_again(value: Any) -> None:
    decoded = decode(encode(value))
    assert decoded == value
    assert type(decoded) is type(value)


def test_signs_of_zero_and_bits_of_nan_survive() -> None:
    assert math.copysign(1, decode(encode(-0.0))) == -1
    (odd_nan,) = struct.unpack(">d", b"\x7f\xf8\x00\x00\x00\x00\x12\x34")
    assert struct.pack(">d", decode(encode(odd_nan))) == b"\x7f\xf8\x00\x00\x00\x00\x12\x34"


def test_lists_come_back_as_tuples() -> None:
    assert decode(encode([1, [2, [3]]])) == (1, (2, (3,)))


@pytest.mark.parametrize("dtype", ITEM_BYTES)
def test_tensors_of_every_dtype_survive(dtype: str) -> None:
    tensor = torch.tensor([[0, 1, 2], [100, 5, 0]]).to(getattr(torch, dtype))
    for each in (tensor, tensor[0, 1], tensor[:0]):
        array = tensor_to_array(each)
        assert isinstance(array, Array)
        back = array_to_tensor(decode(encode(array)))
        assert back.dtype == each.dtype
        assert torch.equal(back, each)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        b"bytes",
        {1, 2},
        1j,
        {1: 2},
        {("a",): 1},
        type("Text", (str,), {})("sub"),
        type("Number", (int,), {})(1),
        2**2040,
        -(2**2048),
        torch.zeros(1),
        print,
        (1, [object()]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_plain_data_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_encoding_stops_at_a_value_that_contains_itself() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="nested too deeply"):
        encode(endless)


def _text(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def _array(code: int, shape: tuple[int, ...], length: int, data: bytes) -> bytes:
    return b"a" + bytes([code, len(shape)]) + struct.pack(f">{len(shape)}Q", *shape) + struct.pack(">Q", length) + data


_UINT8 = list(ITEM_BYTES).index("uint8")
_FLOAT32 = list(ITEM_BYTES).index("float32")
MALFORMED = {
    "nothing": b"",
    "an unknown tag": b"Z",
    "a pickle": b"\x80\x04\x8c\x02os\x94.",
    "an integer without its length": b"i",
    "an integer past the end": b"i\x05\x01",
    "half a float": b"f\0\0\0\0",
    "a text past the end": b"s" + struct.pack(">I", 2**32 - 1) + b"x",
    "text that is no UTF-8": b"s" + _text(b"\xff\xfe"),
    "overlong UTF-8": b"s" + _text(b"\xc0\x80"),
    "a tuple longer than the frame": b"(" + struct.pack(">I", 2**32 - 1),
    "a tuple one longer than the frame": b"(" + struct.pack(">I", 3) + b"NN",
    "a dict longer than the frame": b"{" + struct.pack(">I", 2**32 - 1),
    "a dict without its value": b"{" + struct.pack(">I", 1) + _text(b"k"),
    "a dict with a number as key": b"{" + struct.pack(">I", 1) + b"i\x01\x01N",
    "a handle without a name": b"h\0\0\0\0",
    "a failure without a message": b"!" + _text(b"name"),
    "an unknown dtype": _array(len(ITEM_BYTES), (1,), 1, b"x"),
    "the last dtype there could be": _array(255, (1,), 1, b"x"),
    "too many dimensions": _array(_UINT8, (1,) * 17, 1, b"x"),
    "255 dimensions that are not there": b"a" + bytes([_UINT8, 255]),
    "more bytes than the shape has": _array(_UINT8, (2,), 3, b"xxx"),
    "fewer bytes than the shape has": _array(_FLOAT32, (2,), 7, b"x" * 7),
    "an array past the end": _array(_UINT8, (100,), 100, b"x" * 99),
    "a huge array": _array(_UINT8, (2**40,), 2**40, b""),
    "a negative shape": _array(_UINT8, (2**64 - 1,), 2**64 - 1, b""),
    "two negative dimensions": _array(_UINT8, (2**64 - 1, 2**64 - 1), 1, b"x"),
    "a product that overflows to nothing": _array(_UINT8, (2**32, 2**32), 0, b""),
    "a product that overflows to its bytes": _array(_FLOAT32, (2**62 + 1,), 4, b"xxxx"),
    "a huge dimension beside an empty one": _array(_UINT8, (0, 2**63), 0, b""),
    "huge dimensions beside an empty one": _array(_FLOAT32, (0, 2**26, 2**26, 2**26), 0, b""),
    "bytes after the value": b"NN",
    "bytes after an array": _array(_UINT8, (1,), 1, b"x") + b"\0",
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_frames_are_refused(frame: bytes) -> None:
    with pytest.raises(Malformed):
        decode(frame)


def _nested(depth: int) -> bytes:
    return (b"(" + struct.pack(">I", 1)) * depth + b"N"


def test_thirty_two_levels_are_the_deepest() -> None:
    decode(_nested(32))
    with pytest.raises(Malformed, match="nested"):
        decode(_nested(33))
    with pytest.raises(Malformed, match="nested"):
        decode(_nested(200_000))


def test_a_hundred_thousand_values_are_the_most() -> None:
    assert len(decode(b"(" + struct.pack(">I", 99_999) + b"N" * 99_999)) == 99_999
    with pytest.raises(Malformed, match="too many"):
        decode(b"(" + struct.pack(">I", 100_000) + b"N" * 100_000)


def _some_frames() -> list[bytes]:
    mixed = (None, True, 2**80, -1.5, "합성곱\ud800", {"a": (1, {"b": Failure("E", "m")})}, Handle(3, "class", "Net"))
    return [encode(mixed), encode({"x": Array("float32", (2, 2), bytes(16)), "y": [Array("bool", (), b"\1")]})]


def _decodes_or_is_malformed(frame: bytes) -> bool:
    try:
        decode(frame)
    except Malformed:
        return False
    return True


def test_random_bytes_are_a_value_or_malformed_and_nothing_else() -> None:
    generator = random.Random(1)
    tags = b"NTFifs({ah!"
    for _ in range(10_000):
        body = generator.randbytes(generator.randrange(60))
        _decodes_or_is_malformed(body)
        _decodes_or_is_malformed(bytes([generator.choice(tags)]) + b"\0\0\0" + body)
        _decodes_or_is_malformed(bytes(generator.choice(tags + b"\0\0\1\2") for _ in range(40)))


@pytest.mark.parametrize("frame", _some_frames(), ids=["mixed", "arrays"])
def test_no_part_of_a_frame_passes_for_a_frame(frame: bytes) -> None:
    assert [end for end in range(len(frame)) if _decodes_or_is_malformed(frame[:end])] == []


@pytest.mark.parametrize("frame", _some_frames(), ids=["mixed", "arrays"])
def test_a_frame_with_one_byte_changed_is_a_value_or_malformed(frame: bytes) -> None:
    refused = 0
    for position in range(len(frame)):
        for byte in range(256):
            changed = frame[:position] + bytes([byte]) + frame[position + 1 :]
            refused += not _decodes_or_is_malformed(changed)
    assert refused > len(frame)


def test_whatever_array_is_decoded_can_be_made_a_tensor() -> None:
    generator = random.Random(2)
    for _ in range(5_000):
        shape = tuple(generator.choice((0, 1, 2, 2**20, 2**26, 2**26 + 1)) for _ in range(generator.randrange(17)))
        code = generator.randrange(len(ITEM_BYTES))
        length = math.prod(shape) * list(ITEM_BYTES.values())[code]
        if length > 100:
            continue
        try:
            array = decode(_array(code, shape, length, b"\1" * length))
        except Malformed:
            continue
        assert array_to_tensor(array).shape == shape


HOSTILE = {
    "a tuple that claims four billion": b"(" + struct.pack(">I", 2**32 - 1) + b"N" * 2**20,
    "a tuple of a million": b"(" + struct.pack(">I", 2**20) + b"N" * 2**20,
    "tuples of empty tuples": b"(" + struct.pack(">I", 200_000) + (b"(" + bytes(4)) * 200_000,
    "tuples of empty dicts": b"(" + struct.pack(">I", 200_000) + (b"{" + bytes(4)) * 200_000,
    "empty arrays": b"(" + struct.pack(">I", 50_000) + _array(_UINT8, (0,), 0, b"") * 50_000,
    "failures": b"(" + struct.pack(">I", 100_000) + (b"!" + bytes(8)) * 100_000,
    "one text": b"s" + _text(b"x" * 2**20),
    "one text of wide letters": b"s" + _text("\U0001d518".encode() + b"x" * (2**20 - 4)),
    "an array that claims 2**60 bytes": _array(_UINT8, (2**60,), 2**60, b"x" * 2**20),
}


@pytest.mark.parametrize("frame", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_mebibyte_takes_a_bounded_amount_of_memory(frame: bytes) -> None:
    tracemalloc.start()
    try:
        _decodes_or_is_malformed(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * 2**20
