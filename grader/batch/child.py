"""What a batch is graded by: `python -m grader.batch.child FD`, a process that is loaded once, and its forks.

On the line that it is started with it takes `Packets`. The first says what all gradings have in common (assignment,
mode, data, trainings_at_once, and reads_graphs, whether there are models among the submissions) and is answered by
{"ready": True} once all is loaded that no submission changes, or by {"wrong": "..."} where the command was. Then {}
asks for a fork that grades, brings its log, its line and maybe a line to a warm process that others use too
(`grading.Grading`), and is answered by {"pid": number}; {"ended": number}, once that fork is gone, by
{"exit_code": number}. It makes no thread, because none survives a fork. Its forks outlive it: each ends when nobody is
left on the other side of its own line.

A fork grades one submission after the other, and speaks in JSON objects, one a line. It says {"ready": true} when it
takes submissions, or {"wrong": "..."}. A submission's answer is {"patience": seconds}, after which without a word the
process hangs, then any number of {"doing": "..."}, and then {"report": "..."}, {"unreadable": "..."} where there is no
notebook to be read, {"fault": "..."} where we or the machine broke, or {"wrong": "..."} where the command was.
"""

from __future__ import annotations

import atexit
import base64
import gc
import importlib
import json
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from grader.errors import InputError, SubmissionError, SystemFault
from grader.grading.session import GradingSession
from grader.models.recipe import Mode
from grader.sandbox.protocol.channels import Packets
from grader.sandbox.protocol.encoding import Closed
from grader.submission.submission import Submission, read_notebook

__all__ = ["main"]


def main(descriptor: int) -> None:
    """Load what gradings have in common, and fork until nobody is left on the other side of the line."""
    line = Packets(socket.socket(fileno=descriptor))
    try:
        shared, _ = line.receive()
        try:
            threads = _load(shared)
        except InputError as error:
            return line.send({"wrong": str(error)})
        line.send({"ready": True})
        while True:
            order, descriptors = line.receive()
            if "ended" in order:
                line.send({"exit_code": os.waitstatus_to_exitcode(os.waitpid(order["ended"], 0)[1])})
                continue
            pid = os.fork()
            if pid == 0:
                line.close()
                _become_grader(shared, descriptors, threads)
            for each in descriptors:
                os.close(each)
            line.send({"pid": pid})
    except Closed:
        os._exit(0)  # to take torch apart takes longer than a small submission


def _load(shared: Mapping[str, Any]) -> int:
    """Load all that no submission changes; return how many threads a fork computes on.

    Raises:
        AssignmentError: the assignment is wrong.
    """
    gc.disable()  # until all is loaded, as `load` has it for its part
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if shared["reads_graphs"]:
        importlib.import_module("torch._dynamo")  # torch does so when it reads the first, and takes almost a second
    _grading(shared).load([shared["assignment"]])
    return threads


def _grading(shared: Mapping[str, Any], lent: socket.socket | None = None) -> GradingSession:
    return GradingSession(Path(shared["data"]) if shared["data"] else None, shared["trainings_at_once"], lent)


def _become_grader(shared: Mapping[str, Any], descriptors: Sequence[int], threads: int) -> NoReturn:
    """Turn this fork into a process that grades."""
    status = 1
    try:
        atexit._clear()  # is the other process's own
        log, line, *lent = descriptors
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log, stream.fileno())
        os.close(log)
        import torch

        torch.set_num_threads(threads)  # first of all: it renews torch's pool, which the first use would not do safely
        _serve(socket.socket(fileno=line), shared, socket.socket(fileno=lent[0]) if lent else None)
        status = 0
    except SystemExit:
        status = 0
    except BaseException:  # nothing may come back up into the other process's loop
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(status)


def _serve(line: socket.socket, shared: Mapping[str, Any], lent: socket.socket | None) -> None:
    """Grade until the line's other side is gone."""
    assignment, mode = shared["assignment"], Mode(shared["mode"])
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(line, orders), daemon=True).start()

    def say(**message: Any) -> None:
        line.sendall(json.dumps(message).encode() + b"\n")

    with _grading(shared, lent) as grading:
        try:
            grading.warm_up([assignment])
        except InputError as error:
            return say(wrong=str(error))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that a sandbox is cleared away
        say(ready=True)
        while True:
            files = [(each["name"], base64.b64decode(each["base64"])) for each in orders.get()["files"]]
            try:
                say(patience=2 * grading.longest_silence(assignment, mode, len(files)))
                submission = Submission(tuple(read_notebook(name, content) for name, content in files))
                report = grading.grade(submission, assignment, mode, progress=lambda what: say(doing=what))
                say(report=report.to_json())
            except SubmissionError as error:
                say(unreadable=str(error))
            except InputError as error:
                say(wrong=str(error))
            except (SystemFault, OSError) as error:
                say(fault=f"{type(error).__name__}: {error}")


def _listen(line: socket.socket, orders: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Pass orders on; whoever gave them may be killed while one is worked on, so their end is heard at once."""
    with line.makefile("rb") as lines:
        for each in lines:
            orders.put(json.loads(each))
    os._exit(0)  # the kernel ends a warm process of its own with this one, and sandboxes with that


if __name__ == "__main__":
    main(int(sys.argv[1]))
