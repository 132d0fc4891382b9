"""A process that grades one submission after the other: `python -m grader.grading_process [FD]`.

The descriptor is a line to a warm process that others use too (`grading.Grading`).
It reads one JSON object a line on standard input. The first says what all have in common (assignment, mode, data,
trainings_at_once) and is answered by {"ready": true}; each later one is a submission. Its answer is
{"patience": seconds}, after which without a word the process hangs, then any number of {"doing": "..."}, and then
{"report": "..."}, {"unreadable": "..."} where there is no notebook to be read, {"fault": "..."} where we or the machine
broke, or {"wrong": "..."} where the command was. Where standard input ends, the process ends.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from grader.errors import InputError, SubmissionError, SystemFault
from grader.grading import Grading
from grader.recipe import Mode
from grader.submission import Submission, read_notebook

__all__ = ["main"]


def main() -> None:
    """Serve until standard input ends."""
    answers = _own_output()

    def say(**message: Any) -> None:
        print(json.dumps(message), file=answers, flush=True)

    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    shared = orders.get()
    data = Path(shared["data"]) if shared["data"] else None
    lent = socket.socket(fileno=int(sys.argv[1])) if sys.argv[1:] else None
    with Grading(data, shared["trainings_at_once"], lent) as grading:
        try:
            grading.warm_up([shared["assignment"]])
        except InputError as error:
            return say(wrong=str(error))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that a sandbox is cleared away
        say(ready=True)
        assignment, mode = shared["assignment"], Mode(shared["mode"])
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


def _listen(orders: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Pass orders on; whoever gave them may be killed while one is worked on, so their end is heard at once."""
    # Not sys.stdin, which Python closes when it ends, and cannot while somebody reads it.
    with open(os.dup(sys.stdin.fileno()), "rb") as lines:
        for line in lines:
            orders.put(json.loads(line))
    os._exit(0)  # the kernel ends the warm process with this one, and sandboxes with that


def _own_output() -> TextIO:
    """Keep standard output to ourselves: what anything else prints goes to standard error."""
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return own


if __name__ == "__main__":
    main()
