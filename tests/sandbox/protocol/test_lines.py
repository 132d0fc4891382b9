"""Frames and packets over real sockets: limits on size and time, closed ends, descriptors."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from grader.sandbox.protocol.channels import Channel, Packets
from grader.sandbox.protocol.encoding import Array, Closed, Malformed, encode


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours, max_sent_bytes=2**20, max_received_bytes=2**20), theirs


def test_values_go_through_a_channel_in_order(ends: tuple[Channel, socket.socket]) -> None:
    ours, theirs = ends
    other = Channel(theirs)
    for value in (1, "two", (3.0, None), {"four": Array("uint8", (2,), b"ab")}):
        other.send(value)
    assert [ours.receive(1) for _ in range(4)] == [1, "two", (3.0, None), {"four": Array("uint8", (2,), b"ab")}]


def test_a_large_value_goes_through_a_channel_in_parts(ends: tuple[Channel, socket.socket]) -> None:
    ours, theirs = ends
    sender = threading.Thread(target=Channel(theirs).send, args=("x" * 1_000_000,))
    sender.start()
    assert ours.receive(30) == "x" * 1_000_000
    sender.join()


def test_a_frame_that_is_too_large_is_refused_before_it_is_read(ends: tuple[Channel, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(struct.pack(">I", 2**20 + 1))
    with pytest.raises(Malformed, match="1,048,577 bytes"):
        ours.receive(30)


def test_a_value_that_is_too_large_is_not_sent(ends: tuple[Channel, socket.socket]) -> None:
    ours, theirs = ends
    with pytest.raises(TypeError, match="more than 1,048,576"):
        ours.send("x" * 2**20)
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)


@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack(">I", 10), struct.pack(">I", 10) + b"(\0\0"])
def test_time_runs_out_in_the_middle_of_a_frame(ends: tuple[Channel, socket.socket], sent: bytes) -> None:
    ours, theirs = ends
    theirs.sendall(sent)
    with pytest.raises(TimeoutError):
        ours.receive(0.02)


def test_a_peer_that_trickles_bytes_gains_no_time(ends: tuple[Channel, socket.socket]) -> None:
    ours, theirs = ends
    over = threading.Event()

    def trickle() -> None:
        theirs.sendall(struct.pack(">I", 10_000))
        while not over.wait(0.01):
            theirs.sendall(b"N")

    peer = threading.Thread(target=trickle)
    peer.start()
    try:
        with pytest.raises(TimeoutError):
            ours.receive(0.2)
    finally:
        over.set()
        peer.join()


def test_nobody_reading_ends_a_send_in_time(ends: tuple[Channel, socket.socket]) -> None:
    ours, _ = ends
    ours.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
    with pytest.raises(TimeoutError):
        ours.send("x" * 1_000_000, seconds=0.02)


@pytest.mark.parametrize("sent", [b"", b"\0", struct.pack(">I", 10) + b"N"])
def test_a_peer_that_hangs_up_is_closed_even_in_the_middle_of_a_frame(
    ends: tuple[Channel, socket.socket], sent: bytes
) -> None:
    ours, theirs = ends
    theirs.sendall(sent)
    theirs.close()
    with pytest.raises(Closed):
        ours.receive(1)


def test_sending_to_a_peer_that_hung_up_is_closed(ends: tuple[Channel, socket.socket]) -> None:
    ours, theirs = ends
    theirs.close()
    with pytest.raises(Closed):
        ours.send("hello")


def test_a_frame_that_is_no_value_is_malformed(ends: tuple[Channel, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(struct.pack(">I", 3) + b"\x80\x04.")
    with pytest.raises(Malformed):
        ours.receive(1)
    theirs.sendall(struct.pack(">I", 0))
    with pytest.raises(Malformed):
        ours.receive(1)


@pytest.fixture
def line() -> Iterator[tuple[Packets, socket.socket]]:
    ours, theirs = Packets.pair()
    with theirs:
        yield ours, theirs
    ours.close()


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_packet_brings_its_descriptors(line: tuple[Packets, socket.socket]) -> None:
    ours, theirs = line
    reader, writer = os.pipe()
    Packets(theirs).send({"n": 1}, (writer,))
    os.close(writer)
    value, (received,) = ours.receive(1)
    os.write(received, b"through it")
    os.close(received)
    assert value == {"n": 1}
    assert os.read(reader, 100) == b"through it"
    assert os.read(reader, 100) == b""
    os.close(reader)


@pytest.mark.parametrize(
    ("body", "descriptors"),
    [(b"Z", 4), (b"NN", 1), (b"s" + b"x" * Packets.MAX_BYTES, 2), (b"N", 5), (b"N", 60)],
    ids=["unknown tag", "trailing bytes", "truncated packet", "five descriptors", "sixty descriptors"],
)
def test_a_malformed_packet_leaves_no_descriptor_open(
    line: tuple[Packets, socket.socket], body: bytes, descriptors: int
) -> None:
    ours, theirs = line
    before = _open_descriptors()
    socket.send_fds(theirs, [body], [theirs.fileno()] * descriptors)
    with pytest.raises(Malformed):
        ours.receive(1)
    assert _open_descriptors() == before


def test_packets_keep_their_bounds(line: tuple[Packets, socket.socket]) -> None:
    ours, theirs = line
    whole = "x" * (Packets.MAX_BYTES - len(encode("")))
    Packets(theirs).send(whole)
    assert ours.receive(1) == (whole, [])
    with pytest.raises(TypeError):
        ours.send(whole + "x")


def test_a_silent_packet_line_times_out_and_a_closed_one_is_closed(line: tuple[Packets, socket.socket]) -> None:
    ours, theirs = line
    with pytest.raises(TimeoutError):
        ours.receive(0.02)
    theirs.close()
    with pytest.raises(Closed):
        ours.receive(1)
    with pytest.raises(Closed):
        ours.send(1)


def test_a_full_packet_line_ends_a_send_in_time(line: tuple[Packets, socket.socket]) -> None:
    ours, _ = line

    def fill() -> None:
        for _ in range(10_000):
            ours.send("x" * 50_000, seconds=0.02)

    with pytest.raises(TimeoutError):
        fill()
