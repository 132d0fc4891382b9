"""Messages as plain data: they arrive as they were sent, and anything else is refused with a reason."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest

from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Array, Malformed
from grader.sandbox.protocol.messages import pack_message, unpack_message


class Shade(StrEnum):
    DARK = "dark"
    LIGHT = "light"


@dataclass(frozen=True)
class Point:
    x: float
    label: str | None = None


@dataclass(frozen=True)
class SamplePicture:
    name: str
    pages: int
    shown: bool
    content: bytes
    folder: Path | None
    shade: Shade
    direction: Literal["up", "down"]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Stop:
    pass


PICTURE = SamplePicture(
    "é", 2**40, True, b"\0\xff", Path("/a b"), Shade.DARK, "up", (Point(0.1), Point(math.inf, "end"), Point(-0.0))
)


@pytest.fixture
def line() -> Iterator[tuple[Channel, Channel]]:
    ours, peer = map(Channel, socket.socketpair())
    yield ours, peer
    ours.close()
    peer.close()


@pytest.mark.parametrize("message", [PICTURE, Stop(), Point(1.5)])
def test_a_message_arrives_as_it_was_sent(line: tuple[Channel, Channel], message: Any) -> None:
    line[0].send(pack_message(message))
    assert unpack_message(line[1].receive(5), Stop, SamplePicture, Point) == message


def test_a_whole_number_may_stand_for_a_float() -> None:
    point = unpack_message(("Point", {"x": 2, "label": None}), Point)
    assert (point.x, type(point.x)) == (2.0, float)


def changed(**fields: Any) -> tuple[str, dict[str, Any]]:
    name, values = pack_message(PICTURE)
    return name, {**values, **fields}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not a message"),
        ({"name": "Stop"}, "not a message"),
        (("Stop",), "not a message"),
        (("Point", {"x": 1.0, "label": None}), "expected SamplePicture or Stop, not 'Point'"),
        ((7, {}), "expected SamplePicture or Stop, not 7"),
        (("Stop", {"at": 1}), r"Stop needs exactly the fields \(none\)"),
        (("Stop", ()), r"Stop needs exactly the fields \(none\)"),
        (("SamplePicture", {"name": "x"}), "SamplePicture needs exactly the fields name, pages"),
        (changed(name=None), "SamplePicture.name cannot be this NoneType"),
        (changed(pages=True), "SamplePicture.pages cannot be this bool"),
        (changed(pages=1.0), "SamplePicture.pages cannot be this float"),
        (changed(shown=1), "SamplePicture.shown cannot be this int"),
        (changed(content="text"), "SamplePicture.content cannot be this str"),
        (changed(content=Array("int8", (1,), b"a")), "SamplePicture.content cannot be this Array"),
        (changed(folder=1), "SamplePicture.folder cannot be this int"),
        (changed(shade="grey"), "SamplePicture.shade cannot be this str"),
        (changed(direction="left"), "SamplePicture.direction cannot be this str"),
        (changed(points=1), "SamplePicture.points cannot be this int"),
        (changed(points=({"x": "1", "label": None},)), "Point.x cannot be this str"),
        (changed(points=({"x": 1.0},)), "Point needs exactly the fields x, label"),
    ],
)
def test_anything_else_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        unpack_message(value, SamplePicture, Stop)
