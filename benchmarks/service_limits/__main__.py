"""Measure the input of a service's sizing.

    python -m benchmarks.service_limits [PART ...]

Each part takes a minute or less on a quiet machine and uses none of the machine's services: Redis, PostgreSQL and the
API are started for it. The measurements replace that part's figures in `benchmarks/results/service_times.json`, which
`benchmarks.scale` reads; assumptions and estimates in the file are left as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from benchmarks.scale.parameters import RESULTS
from benchmarks.service_limits.asking import api, messages
from benchmarks.service_limits.grading import Figures, definitions, trainings
from benchmarks.service_limits.storing import blobs, dispatching, lives

__all__ = ["PARTS", "keep", "main"]

PARTS: Mapping[str, Callable[[], Figures]] = {
    "definitions": definitions,
    "lives": lives,
    "dispatching": dispatching,
    "blobs": blobs,
    "api": api,
    "messages": messages,
    "trainings": trainings,
}


def main() -> None:
    """Measure the chosen parts and save their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for name in arguments.parts or PARTS:
        load, started = os.getloadavg()[0], time.monotonic()
        figures = PARTS[name]()
        note = f"load before {load:.1f}, {time.monotonic() - started:.0f} s"
        print(f"{name} ({note}): {json.dumps(figures)}", flush=True)
        keep(arguments.results, name, figures, load)


def keep(results: Path, part: str, figures: Figures, load: float) -> None:
    """Write a part's figures into the file of results, with the machine and time of the measurement."""
    found = json.loads(results.read_text("utf-8")) if results.exists() else {"measured": {}, "conditions": {}}
    found["measured"].update({name: _rounded(value) for name, value in figures.items()})
    found["conditions"][part] = {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        # Other work makes times longer; a load below 0.5 is a quiet machine.
        "load_before": round(load, 1),
    }
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def _rounded(value: float | list[float]) -> float | list[float]:
    """Round each number to four significant digits."""
    return [float(f"{each:.4g}") for each in value] if isinstance(value, list) else float(f"{value:.4g}")


if __name__ == "__main__":
    main()
