"""The process that grades for `grader batch`: `python -m grader.batch.child FD` loads everything once; its forks grade.

It receives the messages of `messages.py` as `Packets` on the socket FD. The first one is a BatchSettings. The answer
is ChildReady once everything is loaded that no submission changes, or CommandError. Then it answers a ForkRequest with
Forked and an ExitCodeRequest with ExitCode. It starts no thread, because no thread survives a fork. Its forks outlive
it: each ends when the other end of its own line is closed.

A fork grades one submission after the other. It sends ChildReady when it takes submissions, or CommandError. It answers
a GradeRequest with LongestSilence, any number of GradingStep, and one of FinishedReport, GradingFault
or CommandError.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from grader.batch.messages import (
    LOADED_REQUESTS,
    MAX_FRAME_BYTES,
    BatchSettings,
    ChildReady,
    CommandError,
    ExitCode,
    ExitCodeRequest,
    FinishedReport,
    Forked,
    GradeOutcome,
    GradeRequest,
    GradingFault,
    GradingStep,
    LongestSilence,
)
from grader.errors import InputError, LastingFault, SystemFault
from grader.gpu.device import GPU
from grader.grading.session import GradingSession
from grader.results.source_cells import pack_sources
from grader.sandbox.protocol.channels import Channel, Packets
from grader.sandbox.protocol.encoding import Closed
from grader.sandbox.protocol.messages import pack_message, unpack_message
from grader.submission.assembly import assemble_submission

__all__ = ["main"]


def main(descriptor: int) -> None:
    """Load what all submissions have in common, and fork on request until the other end of the line is closed."""
    line = Packets(socket.socket(fileno=descriptor))
    try:
        settings = unpack_message(line.receive()[0], BatchSettings)
        try:
            threads = _load(settings)
        except InputError as error:
            return line.send(pack_message(CommandError(str(error))))
        line.send(pack_message(ChildReady()))
        while True:
            value, descriptors = line.receive()
            request = unpack_message(value, *LOADED_REQUESTS)
            if isinstance(request, ExitCodeRequest):
                _, status = os.waitpid(request.pid, 0)
                line.send(pack_message(ExitCode(os.waitstatus_to_exitcode(status))))
                continue
            pid = os.fork()
            if pid == 0:
                line.close()
                _become_grader(settings, request.gpu, descriptors, threads)
            for received in descriptors:
                os.close(received)
            line.send(pack_message(Forked(pid)))
    except Closed:
        os._exit(0)  # taking torch apart takes longer than grading a small submission


def _load(settings: BatchSettings) -> int:
    """Load everything that no submission changes. Return the number of threads that a fork computes with.

    Raises:
        AssignmentError: the assignment is wrong.
    """
    gc.disable()  # until `GradingSession.load` has loaded its part and enables it again
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if settings.reads_graphs:
        importlib.import_module("torch._dynamo")  # torch imports it with the first graph, which takes almost a second
    _make_session(settings).load([str(settings.assignment)])
    return threads


def _make_session(
    settings: BatchSettings, zygote_line: socket.socket | None = None, gpu: GPU | None = None
) -> GradingSession:
    return GradingSession(
        settings.data, settings.trainings_at_once, zygote_line, lambda: settings.key, unsafe=settings.unsafe, gpu=gpu
    )


def _become_grader(settings: BatchSettings, gpu: GPU | None, descriptors: Sequence[int], threads: int) -> NoReturn:
    """Turn this fork into a process that grades."""
    status = 1
    try:
        atexit._clear()  # the handlers are those of the loaded process
        log, line, *zygote_line = descriptors
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log, stream.fileno())
        os.close(log)
        import torch

        torch.set_num_threads(threads)  # before anything else: it renews torch's pool, which first use would not safely
        channel = Channel(socket.socket(fileno=line), MAX_FRAME_BYTES, MAX_FRAME_BYTES)
        with _make_session(settings, socket.socket(fileno=zygote_line[0]) if zygote_line else None, gpu) as session:
            _serve(channel, settings, session)
        status = 0
    except (SystemExit, Closed):
        status = 0
    except BaseException:  # nothing may propagate into the loop of the loaded process
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(status)


def _serve(line: Channel, settings: BatchSettings, session: GradingSession) -> None:
    """Grade until the other end of the line is closed."""
    requests: queue.SimpleQueue[GradeRequest] = queue.SimpleQueue()
    threading.Thread(target=_receive_requests, args=(line, requests), daemon=True).start()

    def send(message: Any) -> None:
        line.send(pack_message(message))

    try:
        session.warm_up([str(settings.assignment)])
    except InputError as error:
        return send(CommandError(str(error)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the sandbox is removed
    send(ChildReady())
    while True:
        send(_grade(requests.get(), settings, session, send))


def _grade(
    request: GradeRequest, settings: BatchSettings, session: GradingSession, send: Callable[[Any], None]
) -> GradeOutcome:
    """Grade one submission and return the outcome; `send` sends messages on the way."""
    assignment, mode = str(settings.assignment), settings.mode
    try:
        submission = assemble_submission(((file.name, file.content) for file in request.files), request.notices)
        send(LongestSilence(2 * session.compute_longest_silence(assignment, mode, len(submission.notebooks))))
        report = session.grade(submission, assignment, mode, progress=lambda text: send(GradingStep(text)))
        return FinishedReport(report.to_json(), pack_sources(submission.sources))
    except InputError as error:
        return CommandError(str(error))
    except LastingFault as error:
        return GradingFault(str(error), lasts=True)
    except (SystemFault, OSError) as error:
        return GradingFault(f"{type(error).__name__}: {error}")


def _receive_requests(line: Channel, requests: queue.SimpleQueue[GradeRequest]) -> None:
    """Queue requests in a thread of its own, so that this process ends at once if the other one is killed."""
    try:
        while True:
            requests.put(unpack_message(line.receive(), GradeRequest))
    except Closed:
        os._exit(0)  # the kernel ends a zygote of its own together with this process, and sandboxes with the zygote
    except BaseException:
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
