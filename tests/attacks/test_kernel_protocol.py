"""Forgeries and garbage on the lines between kernel, runner, definition tracker and the trusted side."""

from __future__ import annotations

import resource

import pytest

from tests.support.attacks import Attack
from tests.support.hostile_cells import LINE, TRACKER, attacked, raised
from tests.support.notebooks import CORR2D, CORR2D_POINTS

_KERNEL = """
import json, os, struct
kernel = get_ipython().kernel
messages = kernel.session.line._socket
asked = kernel.get_parent()["header"]["msg_id"]
def packet(body, first=True, last=True, sender=1):
    messages.send(struct.pack("<I??", sender, first, last) + body)
def say(kind, content, channel="iopub"):
    packet(b"%s, %s]" % (json.dumps([channel, kind, asked]).encode()[:-1], content))
"""

_LIES = {
    "garbage": "[messages.send(os.urandom(length)) for length in (1, 5, 6, 7, 1000, 100_000)]",
    "an empty packet": "messages.send(b'')",
    "half a message": "packet(b'[', last=False)",
    "a message that never ends": """
kernel.session.line._socket.setblocking(True)
for sender in range(2000): packet(bytes(100_000), last=False, sender=sender)""",
    "the largest packet": "messages.setsockopt(1, 7, 2**20); packet(bytes(200_000))",
    "deep JSON": "say('stream', b'[' * 50_000 + b']' * 50_000)",
    "deep JSON as the reply": "say('execute_reply', b'[' * 100_000, 'shell')",
    "a reply without its status": "say('execute_reply', b'{}', 'shell')",
    "stops that are none": "say('execute_reply', b'{\"status\": \"error\", \"stops\": [5, [1]]}', 'shell')",
    "stops without end": """
stops = [[1, 2, "raised", "x" * 9_999]] * 99
say('execute_reply', json.dumps({"status": "error", "stops": stops}).encode(), 'shell')""",
    "a reply that is a list": "say('execute_reply', b'[]', 'shell')",
    "output without its text": "say('stream', b'{}')",
    "output that is a number": "say('display_data', b'5')",
    "an unknown kind": "say('x' * 10_000, b'{}')",
    "an unknown channel": "say('stream', b'{}', 'control')",
    "a request that is a list": 'asked = []; say(\'stream\', b\'{"name": "stdout", "text": "x"}\')',
    "too large, it says": "say('too large', b'{}')",
    "idle before the end": "say('status', b'{\"execution_state\": \"idle\"}')",
    "no more socket": "messages.close()",
    "a socket shut down": "messages.shutdown(2)",
    "widgets": '[say(\'comm_open\', b\'{"comm_id": "1", "data": {}}\') for _ in range(99)]',
}


@pytest.mark.parametrize("lie", _LIES.values(), ids=_LIES.keys())
def test_garbage_to_the_runner_keeps_what_was_solved_around_it(attack: Attack, lie: str) -> None:
    report = attack(CORR2D, _KERNEL + lie, "y = (1, 2)")
    assert attacked(report.cells[1])
    assert report.score == CORR2D_POINTS


def test_a_forged_reply_earns_nothing(attack: Attack) -> None:
    report = attack(
        _KERNEL
        + """
say("execute_reply", b'{"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}', "shell")
say("status", b'{"execution_state": "idle"}')
raise RuntimeError("hidden behind a forged reply")
"""
    )
    assert report.score == 0
    assert not report.passed


def test_sweeping_up_the_runner_is_not_possible(attack: Attack) -> None:
    report = attack(
        """
        import os, signal
        got = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                for send in (os.kill, lambda pid, sign: signal.pidfd_send_signal(os.pidfd_open(pid), sign)):
                    try:
                        send(int(name), signal.SIGKILL)
                        got.append(name)
                    except OSError:
                        pass
        raise RuntimeError(f"LOOT {got}")
        """
    )
    assert raised(report.cells[0]) == "RuntimeError: LOOT []"


_NOTES = {
    "garbage": "line.send(os.urandom(5000))",
    "an empty packet": "line.send(b'')",
    "the largest packet": "line.setsockopt(1, 7, 2**20); line.send(bytes(150_000))",
    "no dictionary": "[line.send(encode(value)) for value in (5, 'note', None, (1, 2), Array('bool', (0,), b''))]",
    "no cell": "line.send(encode({'note': 'value', 'name': 'Y', 'value': (1, 2)}))",
    "an infinite cell": "line.send(encode({'note': 'value', 'cell': float('inf'), 'name': 'Y', 'value': (1, 2)}))",
    "cell not a number": "line.send(encode({'note': 'value', 'cell': float('nan'), 'name': 'Y', 'value': (1, 2)}))",
    "a cell far away": "line.send(encode({'note': 'value', 'cell': -2**1000, 'name': 'Y', 'value': (1, 2)}))",
    "a shape past all bounds": """
line.send(encode({'note': 'value', 'cell': 0, 'name': 'Y', 'value': Array('float32', (0, *[2**26] * 15), b'')}))""",
    "names that are none": "claim([ours.fileno()], names=({}, 5, None))",
    "names that are a number": "claim([ours.fileno()], names=5)",
    "an end that is none": "claim([ours.fileno()], at_end=5)",
    "an end at infinity": "claim([ours.fileno()], at_end={'corr2d': float('-inf')})",
    "an end that is no number": "claim([ours.fileno()], at_end={'corr2d': 'x'})",
    "checkpoints that are none": "claim([ours.fileno()], checkpoints=5)",
    "checkpoints that never were": """
claim([ours.fileno()], checkpoints=tuple((0, n, ('corr2d',), True) for n in range(1, 90)))""",
    "a process number that is none": "claim([ours.fileno()], pid='x')",
    "a process number at infinity": "claim([ours.fileno()], pid=float('inf'))",
    "a process number of 255 bytes": """
note = encode({**NOTE, "pid": 7})
huge = b"i\\xff" + (-(2**2039)).to_bytes(255, "big", signed=True)
socket.send_fds(line, [note.replace(encode(7), huge)], [ours.fileno()])""",
    "the first process to be kept": "claim([ours.fileno()], pid=1)",
    "a cell of 255 bytes": """
note = encode({**NOTE, "cell": 7, "pid": 1})
huge = b"i\\xff" + (-(2**2039)).to_bytes(255, "big", signed=True)
socket.send_fds(line, [note.replace(encode(7), huge)], [ours.fileno()])""",
    "a pipe": "claim([os.pipe()[0]])",
    "a file": "claim([os.open('/tmp/file', os.O_CREAT | os.O_RDWR)])",
    "a folder": "claim([os.open('/', os.O_RDONLY)])",
    "four descriptors": "claim([ours.fileno()] * 4)",
    "two hundred descriptors": "claim([ours.fileno()] * 200)",
    "no descriptor": "claim([])",
    "its own line": "claim([line.fileno()])",
    "a socket that listens": """
ours = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
ours.bind("/tmp/listening")
ours.listen()
claim([ours.fileno()])""",
    "a socket that is closed": "theirs.close(); claim([ours.fileno()])",
    "a stream": "ours, theirs = socket.socketpair(); claim([ours.fileno()])",
    "a thousand snapshots": "[claim([ours.fileno()]) for _ in range(1000)]",
    "a line shut down": "line.shutdown(socket.SHUT_RDWR)",
    "definitions never made": """
for cell in range(-20, 20):
    claim([ours.fileno()], cell=cell, names=tracker._names)
theirs.close()""",
    "imports never made": """
for _ in range(2000):
    line.send(encode({"note": "imported", "cell": 0, "names": {name: "x" * 1000 for name in tracker._names}}))""",
}


@pytest.mark.parametrize("note", _NOTES.values(), ids=_NOTES.keys())
def test_a_forged_note_of_the_tracker_earns_nothing_and_breaks_nothing(attack: Attack, note: str) -> None:
    report = attack(TRACKER + LINE + note, "y = (1, 2)", replacements=1)
    assert attacked(report.cells[0])
    assert report.score == 0
    assert report.cells[1].status == "ok"


def test_a_line_whose_buffer_is_full_does_not_stop_the_grader(attack: Attack) -> None:
    report = attack(
        TRACKER
        + LINE
        + """
ours.setblocking(False)
try:
    while True:
        ours.send(b"x")
except BlockingIOError:
    pass
ours.setblocking(True)
claim([ours.fileno()])
"""
    )
    assert attacked(report.cells[0])
    assert report.score == 0


@pytest.mark.slow
def test_a_snapshot_that_never_answers_earns_nothing(attack: Attack) -> None:
    report = attack(TRACKER + LINE + "claim([ours.fileno()])")
    assert attacked(report.cells[0])
    assert report.score == 0
    assert {item.id: item.verdict for item in report.items}["corr2d.values"] in ("absent", "error")


@pytest.mark.slow
def test_a_flood_of_values_is_bounded_in_memory(attack: Attack) -> None:
    """Values count with all their bytes, whatever kind of plain data they are."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = attack(
        TRACKER
        + """
for number in range(5000):
    line.send(encode({"note": "value", "cell": 0, "name": "x", "value": "x" * 120_000}))
"""
    )
    assert attacked(report.cells[0])
    assert report.score == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_a_tracker_that_is_replaced_earns_nothing(attack: Attack) -> None:
    report = attack(
        TRACKER
        + """
kind = type(tracker)
assert hasattr(kind, "_find_definitions") and hasattr(kind, "_find_values")
kind._find_definitions = lambda self: (tuple(self._names), {})
kind._find_values = lambda self, result, nothing_ran: [("Y", (1, 2)), ("X", 5), ("_", "text")]
""",
        "y = (1, 2)",
    )
    assert attacked(report.cells[0])
    assert report.score == 0
    assert not report.passed
