"""Check the grader on a machine with a GPU: `python -m benchmarks.gpu FOLDER`.

Writes results.json, table.txt and log.txt to FOLDER, after each row, and prints the table at the end. Each part runs
in a process of its own; one that breaks is a row of the table. `--rehearse` puts stand-ins in place of the GPU and
makes everything tiny, to find out on any machine whether the check itself works. Exit codes: 0 all as it should be, 1
something is not, 2 FOLDER cannot be written or an argument is wrong. docs/gpu.md says more.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from benchmarks.gpu.parts import PARTS, WAYS_TO_BREAK
from benchmarks.gpu.results import CheckResults
from benchmarks.gpu.running import LOG, run_parts
from benchmarks.gpu.settings import CheckSettings

__all__ = ["main"]

_SECONDS = 460.0  # with the end of the last part, less than eight minutes
_NAMES = [part.name for part in PARTS]
_BROKEN = [f"{name}:{way}" for name in _NAMES for way in WAYS_TO_BREAK]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the results are written; it is made if it is missing")
    parser.add_argument(
        "--notebook", type=Path, action="append", default=[], help="homework to train; several may be given"
    )
    parser.add_argument("--only", action="append", choices=_NAMES, help="a part; several may be given")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help=f"for the whole; default: {_SECONDS:.0f}")
    parser.add_argument("--rehearse", action="store_true", help="without a GPU, with stand-ins and tiny sizes")
    parser.add_argument("--break", dest="broken", action="append", default=[], choices=_BROKEN, help="a part to break")
    given = parser.parse_args(arguments)
    settings = CheckSettings(
        rehearse=given.rehearse,
        notebooks=tuple(path.resolve() for path in given.notebook),
        deadline=time.monotonic() + given.seconds,
        broken=tuple(given.broken),
    )
    parts = [part for part in PARTS if not given.only or part.name in given.only]
    results = CheckResults(given.folder, [part.name for part in parts], rehearsal=given.rehearse)
    try:
        given.folder.mkdir(parents=True, exist_ok=True)
        (given.folder / LOG).write_bytes(b"")
        results.write()
    except OSError as error:
        print(f"{given.folder} cannot be written ({error}): name another folder", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _stop)
    try:
        run_parts(parts, settings, results, given.folder, _say)
    except KeyboardInterrupt:
        _say("stopped")
    print(results.to_table())
    with suppress(OSError):
        results.write()
    return 1 if results.bad or any(part.state != "ended" for part in results.parts.values()) else 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
