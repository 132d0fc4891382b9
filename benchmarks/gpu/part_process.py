"""A process that runs one part: `python -m benchmarks.gpu.part_process FD NAME SETTINGS`.

Each row is a line of JSON on the pipe FD as soon as it is known, so that whatever ends this process loses no other row.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys

from benchmarks.gpu.parts import MEMORY, PARTS
from benchmarks.gpu.rows import CheckRow
from benchmarks.gpu.settings import CheckSettings

__all__ = ["main"]


def main(descriptor: int, name: str, settings: CheckSettings) -> None:
    """Run the part and write its rows."""
    os.set_inheritable(descriptor, False)
    faulthandler.enable()
    faulthandler.dump_traceback_later(max(0.1, settings.seconds_left() - 1))  # where it hangs stands in the log
    with os.fdopen(descriptor, "w", encoding="utf-8") as pipe:

        def write(row: CheckRow) -> None:
            pipe.write(json.dumps(row.to_json(), default=str) + "\n")
            pipe.flush()

        (part,) = (part for part in (*PARTS, MEMORY) if part.name == name)
        try:
            for row in part.run(settings):
                write(row)
        except BaseException as error:  # also SystemExit of a library
            write(CheckRow.of_error("the part", error))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], CheckSettings.from_json(sys.argv[3]))
    # A thread or a library that does not end must not keep the next part waiting.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
