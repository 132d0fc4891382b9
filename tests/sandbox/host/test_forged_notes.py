"""A notebook that forges notes of the definition tracker gains nothing and breaks nothing on our side."""

from __future__ import annotations

import dataclasses
import os
import resource

import pytest

from grader.sandbox.host.sandbox import Zygote
from tests.support.hostile_cells import TRACKER_CLASS, attacked
from tests.support.sandbox_runs import FILE, LIMITS, Run, ran

LINE = f"""
import os, socket, struct
from grader.sandbox.protocol.encoding import Array, Failure, Handle, encode
line = next(c.__self__ for c in get_ipython().events.callbacks["post_run_cell"] if hasattr(c, "__self__")
            and type(c.__self__).__name__ == "{TRACKER_CLASS}")._packets
pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
"""
SNAPSHOT = "{'note': 'snapshot', 'cell': 1, 'names': ('f',), 'checkpoints': (), 'at_end': {}, 'pid': 1"
FORGED = {
    "no dict": "line.send(5)",
    "a tuple": "line.send((1, 2))",
    "an array": "line.send(Array('uint8', (1,), b'x'))",
    "no note": "line.send({'cell': 1})",
    "an unknown note": "line.send({'note': 'verdict', 'cell': 1})",
    "a cell of words": "line.send({'note': 'value', 'cell': 'x', 'name': 'x', 'value': 1})",
    "an endless cell": "line.send({'note': 'value', 'cell': float('inf'), 'name': 'x', 'value': 1})",
    "a cell that is no number": "line.send({'note': 'value', 'cell': float('nan'), 'name': 'x', 'value': 1})",
    "a huge cell": "line.send({'note': 'value', 'cell': 2**2000, 'name': 'x', 'value': 1})",
    "an array for a cell": "line.send({'note': 'value', 'cell': Array('uint8', (1,), b'x'), 'name': 'x', 'value': 1})",
    "a value of strange parts": "line.send({'note': 'value', 'cell': 1, 'name': 'x', 'value': "
    "{'a': (Handle(1, '', ''),)}})",
    "an empty array of huge shape": "line.send({'note': 'value', 'cell': 1, 'name': 'x', 'value': "
    "Array('float32', (0, 2**26, 2**26, 2**26), b'')})",
    "an empty parameter of huge shape": "line.send({'note': 'value', 'cell': 1, 'name': 'x', 'value': "
    "{'w': Array('float32', (0, 2**26, 2**26, 2**26), b'')}})",
    "imports that are no dict": "line.send({'note': 'imported', 'cell': 1, 'names': ('f',)})",
    "imports that are a number": "line.send({'note': 'imported', 'cell': 1, 'names': 5})",
    "names that are a dict of dicts": f"line.send({SNAPSHOT.replace(repr(('f',)), '({},)')}}}, (pair[0].fileno(),))",
    "a snapshot without a line": f"line.send({SNAPSHOT}}})",
    "a snapshot with two lines": f"line.send({SNAPSHOT}}}, (pair[0].fileno(), pair[1].fileno()))",
    "a snapshot on a file": f"line.send({SNAPSHOT}}}, (os.open('/dev/null', os.O_RDONLY),))",
    "a snapshot on a pipe": f"line.send({SNAPSHOT}}}, os.pipe()[:1])",
    "a snapshot on a stream": f"line.send({SNAPSHOT}}}, (socket.socketpair()[0].fileno(),))",
    "a snapshot on a closed line": f"line.send({SNAPSHOT}}}, (pair[0].fileno(),)); pair[0].close(); pair[1].close()",
    "a snapshot without names": "line.send({'note': 'snapshot', 'cell': 1}, (pair[0].fileno(),))",
    "an end that is a tuple": f"line.send({SNAPSHOT.replace('{}', '()', 1)}}}, (pair[0].fileno(),))",
    "an end of words": f"line.send({SNAPSHOT.replace('{}', repr({'f': 'x'}), 1)}}}, (pair[0].fileno(),))",
    "an end of arrays": f"line.send({SNAPSHOT.replace('{}', '''{'f': Array('uint8', (1,), b'x')}''')}}}, "
    "(pair[0].fileno(),))",
    "an endless end": f"line.send({SNAPSHOT.replace('{}', '''{'f': float('-inf')}''')}}}, (pair[0].fileno(),))",
    "checkpoints that are a number": f"line.send({SNAPSHOT.replace('()', '5', 1)}}}, (pair[0].fileno(),))",
    "a checkpoint of too few parts": f"line.send({SNAPSHOT.replace('()', '((1, 1),)', 1)}}}, (pair[0].fileno(),))",
    "a foreign checkpoint": f"line.send({SNAPSHOT.replace('()', '((9, 1, (), True),)', 1)}}}, (pair[0].fileno(),))",
    "a checkpoint of words": f"line.send({SNAPSHOT.replace('()', '((1, [], (), True),)', 1)}}}, (pair[0].fileno(),))",
    "a huge checkpoint": f"line.send({SNAPSHOT.replace('()', '((1, 2**2000, (), True),)', 1)}}}, (pair[0].fileno(),))",
    "a process of words": f"line.send({SNAPSHOT.replace('1}', 'x')[:-1]}'x'}}, (pair[0].fileno(),))",
    "a huge process number": f"line.send({SNAPSHOT[:-1]}2**2000}}, (pair[0].fileno(),))",
    "a negative process number": f"line.send({SNAPSHOT[:-1]}-1}}, (pair[0].fileno(),))",
    "no frame": "line.socket.send(b'\\x80\\x04.')",
    "an empty packet": "line.socket.send(b'')",
    "many descriptors": "socket.send_fds(line.socket, [encode(5)], [pair[0].fileno()] * 100)",
    "a closed line": "line.socket.shutdown(socket.SHUT_RDWR)",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_a_forged_note_breaks_nothing(zygote: Zygote, forged: str) -> None:
    _ = zygote.missing
    before = len(os.listdir("/proc/self/fd"))
    with ran(zygote, "def g(): return 1", LINE + forged, "x = 1", names=("f", "g")) as made:
        assert made.statuses()[0] == "ok"
        assert attacked(made.execution.cells[FILE, 1])
        assert made.statuses()[2] == "ok"
        assert made.call("g") == 1
        made.work.candidates()
        made.recorded()
        assert made.defined("g")[0] == 0
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.slow
def test_a_flood_of_large_notes_is_bounded_in_our_memory(run: Run) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    note = "{'note': 'value', 'cell': 1, 'name': 'x', 'value': str(n) + 'x' * 100_000}"
    flood = f"for n in range(1_600):\n    line.send({note})"
    limits = dataclasses.replace(
        LIMITS, cell_seconds=3
    )  # the line is not read any more, and the cell waits until it is ended
    made = run("def f(): return 1", LINE + flood, "x = 1", limits=limits)
    assert made.call("f") == 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 128 * 1024  # KiB


def test_a_process_number_that_was_made_up_keeps_nothing_alive(run: Run) -> None:
    runaway = (
        """
    pid = os.fork()
    if pid == 0:
        while True:
            pair[1].recv(10)
    """
        + f"line.send({SNAPSHOT[:-1]}pid}}, (pair[0].fileno(),))"
    )
    made = run(LINE + "\n" + runaway.replace("\n    ", "\n"), "def g(): return 1", names=("f", "g"))
    assert made.call("g") == 1
