"""The command: have a notebook run in another process, and print the verdict on each item."""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from grader.authoring.bundling.check.bundle import Bundle
from grader.authoring.bundling.check.results import ItemCheck, describe_item

__all__ = ["NotebookCheck", "main"]

RIGHT, NOT_RIGHT, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

_VERDICTS = ("absent", "wrong", "unclear", "right")  # from worst to best
_GRACE = 5  # seconds in which a process may end by itself what has exceeded its time
_START = 300  # seconds that importing PyTorch may take on a slow disk
_MOST_STARTS = 6  # a notebook in which more statements hang is judged by what came before
_WORKER = "import sys; sys.path.insert(0, sys.argv[1]); from {package}.worker import main; main(*sys.argv[1:3])"


def main(path: Path, arguments: Sequence[str]) -> int:
    """Check the notebooks that the arguments name, print the results, and return the exit code.

    Args:
        path: the bundle, a zip or a folder.
        arguments: the arguments of the command line.
    """
    bundle = Bundle.read(path)
    options = _make_parser(bundle).parse_args(arguments)
    known = [item["id"] for item in bundle.items]
    wrong = [_describe_unknown(item, bundle, known) for item in options.item or () if item not in known]
    wrong += [f"{name}: there is no such file" for name in options.notebooks if not name.is_file()]
    if wrong:
        print(f"check: {'; '.join(wrong)}", file=sys.stderr)
        return WRONG_INPUT
    if bundle.left_out and not options.item:
        print(f"Not checked here, only by the course's grader: {', '.join(bundle.left_out)}.\n")
    check = NotebookCheck(path, bundle, options.notebooks, options.seconds)
    try:
        check.run()
    except KeyboardInterrupt:
        print("check: interrupted; what was not judged by then shows as absent", file=sys.stderr)
        _print_results(check, options)
        return INTERRUPTED
    except ValueError as error:
        print(f"check: {error}", file=sys.stderr)
        return WRONG_INPUT
    return _print_results(check, options)


def _print_results(check: NotebookCheck, options: argparse.Namespace) -> int:
    shown = [result for item, result in check.best.items() if not options.item or item in options.item]
    for result in shown:
        print("\n".join(describe_item(result, options.hint)))
    for notice in check.notices:
        print(f"note: {notice}")
    if options.hint < 3 and any(result.verdict == "wrong" for result in shown):
        print(f"more about what is wrong: --hint {options.hint + 1}")
    return RIGHT if all(result.verdict == "right" for result in shown) else NOT_RIGHT


class NotebookCheck:
    """Check notebooks in other processes, which are stopped if something hangs.

    Args:
        path: the bundle, a zip or a folder.
        bundle: its content.
        notebooks: the notebooks.
        seconds: the time limit for each statement and each case.

    Attributes:
        best: the best result for each item.
        notices: a sentence on each statement that did not end well.
    """

    def __init__(self, path: Path, bundle: Bundle, notebooks: Sequence[Path], seconds: float) -> None:
        self.best = {
            item["id"]: ItemCheck(item["id"], item["section"], "absent", why=f"{item['names'][0]} is not defined")
            for item in bundle.items
        }
        self.notices: list[str] = []
        self._path = path
        self._notebooks = notebooks
        self._seconds = seconds
        self._cases = {item["id"]: len(item["cases"]) for item in bundle.items}
        self._sections = {item["id"]: item["section"] for item in bundle.items}
        self._skipped: list[Sequence[Any]] = []
        self._step: dict[str, Any] | None = None  # what the process is about to do, or None while it starts

    def run(self) -> None:
        """Run the notebooks to their end, as often as something in them hangs.

        Raises:
            ValueError: a file is not a notebook, or the process does not start.
        """
        for _ in range(_MOST_STARTS):
            self._step = None
            if self._run_once():
                return
            if self._step is not None:
                self._skipped.append(self._step["key"])
                self._note(self._step)
        self.notices.append("too many statements never end; what stands below them was not run")

    def _run_once(self) -> bool:
        """Run the notebooks in one process. Return False if it ended, or had to be stopped, at a step."""
        options = {"paths": list(map(str, self._notebooks)), "seconds": self._seconds, "skipped": self._skipped}
        program = _WORKER.format(package=__package__)
        command = [sys.executable, "-c", program, str(self._path), json.dumps(options)]
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            try:
                for event in _read_events(process, self._count_allowed_seconds):
                    if "ended" in event:
                        return True
                    self._take(event)
            finally:
                process.kill()
            if self._step is None:
                raise ValueError(_describe_start(process))
        return False

    def _take(self, event: dict[str, Any]) -> None:
        if "notice" in event and event["notice"] not in self.notices:
            self.notices.append(event["notice"])
        elif "ItemCheck" in event:
            self._keep(ItemCheck(**event["ItemCheck"]))
        elif "NotebookStep" in event:
            self._step = event["NotebookStep"]
        elif "refused" in event:
            raise ValueError(event["refused"])

    def _count_allowed_seconds(self) -> float:
        """Return the seconds that may pass until the next event."""
        if self._step is None:
            return _START
        return self._seconds * self._cases.get(self._step["key"][2], 1) + _GRACE

    def _keep(self, result: ItemCheck) -> None:
        # Of equal results the last one in a cell counts: it shows the definition as the student left it.
        rank = _VERDICTS.index(result.verdict) - _VERDICTS.index(self.best[result.item].verdict)
        if rank > 0 or (rank == 0 and result.place):
            self.best[result.item] = result

    def _note(self, step: dict[str, Any]) -> None:
        *_, item = step["key"]
        stopped = f"stopped after {self._seconds:g} seconds, or it ended its process"
        if item:
            why = f"a call neither ends nor can be interrupted, or it ends the process ({stopped})"
            self._keep(ItemCheck(item, self._sections[item], "wrong", why=why, place=step["place"]))
        else:
            self.notices.append(f"{step['file']}, {step['place']}: {stopped}; left out")


def _read_events(process: subprocess.Popen[bytes], allow: Callable[[], float]) -> Iterator[dict[str, Any]]:
    """Yield the events of a process until it ends or is silent for longer than `allow()` seconds."""
    lines: queue.Queue[bytes] = queue.Queue()
    pipe = process.stdout
    assert pipe is not None

    def read() -> None:
        for line in pipe:
            lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    while True:
        silent_until = time.monotonic() + allow()
        while True:
            try:
                # A wait without end cannot be interrupted by Ctrl-C on Windows.
                line = lines.get(timeout=0.2)
                break
            except queue.Empty:
                if time.monotonic() > silent_until:
                    return
        if not line:
            return
        yield json.loads(line)


def _describe_start(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    errors = process.stderr.read().decode("utf-8", "replace").strip().split("\n")
    return f"the notebook did not start to run: {errors[-1] or 'the process ended'}"


def _describe_unknown(item: str, bundle: Bundle, known: Sequence[str]) -> str:
    if item in bundle.left_out:
        return f"{item} is checked by the course's grader only: {bundle.left_out[item]}"
    return f"nothing is recorded of {item}; give one of {', '.join(known)}"


def _make_parser(bundle: Bundle) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="check", description=f"Check {bundle.title} against recorded answers.")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help="your notebooks (.ipynb)")
    parser.add_argument("--item", action="append", metavar="ID", help="check this item only; may be repeated")
    parser.add_argument(
        "--hint", type=int, choices=(1, 2, 3), default=1, help="1: where, 2: what goes wrong, 3: the inputs"
    )
    parser.add_argument("--seconds", type=float, default=60, help="time limit for each statement (default: 60)")
    return parser
