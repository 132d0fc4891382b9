"""The line between runner and kernel: messages of any size, from any thread and from forked children, arrive whole."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from grader.sandbox.guest.messages import TOO_LARGE, MessageLine
from tests.support.sandbox_runs import Run

_Ends = tuple[MessageLine, MessageLine, socket.socket]


@pytest.fixture
def ends() -> Iterator[_Ends]:
    """Make a sending and a receiving end. Return them and the socket of the sending one."""
    sending, receiving = MessageLine.pair()
    with sending, receiving:
        yield MessageLine(sending), MessageLine(receiving), sending


def _received(line: MessageLine, count: int) -> list[Any]:
    async def receive() -> list[Any]:
        async with asyncio.timeout(20):
            return [await line.receive() for _ in range(count)]

    return asyncio.run(receive())


@pytest.mark.parametrize("length", [0, 1, 128 * 1024, 300_000, 4_000_000])
def test_a_message_of_any_length_arrives_as_it_was_sent(ends: _Ends, length: int) -> None:
    sending, receiving, _ = ends
    sender = threading.Thread(target=sending.send, args=("iopub", "stream", 7, {"text": "ä" * length}))
    sender.start()
    assert _received(receiving, 1) == [("iopub", "stream", 7, {"text": "ä" * length})]
    sender.join()


def test_messages_of_several_threads_at_once_arrive_whole(ends: _Ends) -> None:
    sending, receiving, _ = ends
    senders = [
        threading.Thread(target=sending.send, args=("iopub", "stream", number, {"text": str(number) * 1_000_000}))
        for number in range(4)
    ]
    for sender in senders:
        sender.start()
    received = sorted(_received(receiving, 4))
    assert [message[3]["text"] for message in received] == [str(number) * 1_000_000 for number in range(4)]
    for sender in senders:
        sender.join()


def test_a_message_that_is_too_large_is_replaced_by_a_short_one(ends: _Ends) -> None:
    sending, receiving, _ = ends
    sending.send("iopub", "display_data", 7, {"data": "x" * 2**23})
    assert _received(receiving, 1) == [("iopub", TOO_LARGE, 7, {})]


def test_a_message_that_was_interrupted_does_not_spoil_the_next(ends: _Ends) -> None:
    sending, receiving, connection = ends
    connection.send(struct.pack("<I??", threading.get_native_id(), True, False) + b'["iopub", ')
    sending.send("iopub", "stream", 7, {"text": "x" * 200_000})
    assert _received(receiving, 1) == [("iopub", "stream", 7, {"text": "x" * 200_000})]


def test_messages_that_never_end_are_bounded_in_memory(ends: _Ends) -> None:
    _, receiving, connection = ends

    def flood() -> None:
        connection.setblocking(True)
        for sender in range(1000):
            connection.send(struct.pack("<I??", sender, True, False) + bytes(100_000))
        connection.send(struct.pack("<I??", 1, True, True) + b'["iopub", "stream", 7, {}]')

    flooding = threading.Thread(target=flood)
    flooding.start()
    assert _received(receiving, 1) == [("iopub", "stream", 7, {})]
    assert sum(map(len, receiving._unfinished.values())) < 2**25
    flooding.join()


@pytest.mark.parametrize(
    "garbage", [b"x", bytes(range(255, -1, -1)), b"[1]", b'["iopub", "stream", 7, 5]', b"[" * 50_000]
)
def test_packets_without_a_message_are_ignored(ends: _Ends, garbage: bytes) -> None:
    sending, receiving, connection = ends
    connection.send(garbage)
    connection.send(struct.pack("<I??", 1, True, True) + garbage)
    sending.send("iopub", "stream", 7, {})
    assert _received(receiving, 1) == [("iopub", "stream", 7, {})]


def test_what_a_forked_child_and_a_thread_print_is_shown(run: Run) -> None:
    child = """
import os
print("before")
if os.fork() == 0:
    print("child")
    os._exit(0)
os.wait()
print("after")"""
    thread = "import threading\nt = threading.Thread(target=print, args=('thread',)); t.start(); t.join()"
    made = run(child, thread)
    texts = ["".join(output["text"] for output in made.showed(cell)) for cell in (0, 1)]
    assert sorted(texts[0].split()) == ["after", "before", "before", "child"]
    assert texts[1] == "thread\n"


def test_a_forked_child_that_returns_from_its_cell_does_not_act_as_the_kernel(run: Run) -> None:
    forking = "import os\nif os.fork() == 0: raise RuntimeError('child')\nos.wait()"
    leaving = "child = os.fork() == 0\nif not child: os.wait()"
    made = run(forking, leaving, "def f(): return child", names=("f",))
    assert made.statuses() == ["ok", "ok", "ok"]
    assert made.call("f") is False


def test_a_cell_that_closes_the_line_ends_the_kernel_and_costs_only_itself(run: Run) -> None:
    made = run("def f(): return 1", "import os; os.closerange(3, 1000)", "def g(): return 2", names=("f", "g"))
    assert made.statuses() == ["ok", "ended the kernel", "ok"]
    assert [made.call("f"), made.call("g")] == [1, 2]


def test_a_cell_whose_output_is_too_large_is_over_at_once(run: Run) -> None:
    made = run("'x' * 50_000_000", "def f(): return 1", names=("f",))
    assert made.statuses() == ["ok", "ok"]
    assert "kept no more" in str(made.showed(0))
