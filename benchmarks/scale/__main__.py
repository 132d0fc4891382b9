"""Simulate a week, and print how many workers it takes and what breaks first.

    python -m benchmarks.scale [course|class|university|mooc ...] [--seed 1]
    python -m benchmarks.scale --write     # all of them, into docs/scale.md

The figures behind it are in `benchmarks/results/service_times.json`, measured by `python -m benchmarks.service_limits`.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from benchmarks.scale import breaking, sizing
from benchmarks.scale.parameters import Parameters
from benchmarks.scale.sizing import SCENARIOS, Scenario, sized

__all__ = ["DOCS", "figures", "main", "told", "written"]

DOCS = Path(__file__).parents[2] / "docs" / "scale.md"
_SEED = 1
_BREAKING_MODE = "quick"


def main() -> None:
    """Print the chosen scenarios, or write all of them into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"some of {', '.join(SCENARIOS)}")
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - set(SCENARIOS):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    parameters = Parameters.read()
    page = DOCS.read_text("utf-8") if arguments.write else ""
    for name in arguments.scenarios or SCENARIOS:
        text = told(SCENARIOS[name], parameters, arguments.seed)
        print(text, end="\n\n", flush=True)
        page = written(page, name, text)
    if arguments.write:
        DOCS.write_text(written(page, "figures", figures(parameters)), "utf-8")


def told(scenario: Scenario, parameters: Parameters, seed: int = _SEED) -> str:
    """Return the tables of a scenario: workers for each mode, and the load of each part in the last hour.

    Args:
        scenario: who submits.
        parameters: how long things take.
        seed: the seed of random draws.
    """
    plans = sized(scenario, parameters, seed)
    simulated = f", one of {scenario.thinned} simulated" if scenario.thinned > 1 else ""
    lines = [f"{scenario.title} (seed {seed}{simulated})", "", sizing.HEAD, *(plan.line() for plan in plans)]
    if scenario.alone:
        quick = next(plan for plan in plans if plan.mode == _BREAKING_MODE)
        lines += ["", f"the last hour, mode {_BREAKING_MODE}, workers: {quick.workers:,}", "", breaking.HEAD]
        lines += [need.line() for need in breaking.needs(quick, parameters)]
    lines += ["", _kept(scenario, parameters)]
    return "\n".join(line.rstrip() for line in lines)


def _kept(scenario: Scenario, parameters: Parameters) -> str:
    """Return a sentence on the storage that a term takes."""
    measured, weeks = parameters.measured, parameters.assumed.weeks
    count = scenario.submissions * weeks
    blobs = count * (measured.notebook_bytes + measured.report_bytes) / 2**30
    rows = count * measured.postgresql_bytes_per_submission / 2**30
    return f"{weeks} such weeks leave {blobs:,.1f} GiB of blobs and {rows:,.1f} GiB in PostgreSQL"


def figures(parameters: Parameters) -> str:
    """Return all measurements, one a line.

    Args:
        parameters: the measurements.
    """
    found = vars(parameters.measured).items()
    return "\n".join(f"{name:40}{_shown(value)}" for name, value in found)


def _shown(value: float | tuple[float, ...]) -> str:
    return ", ".join(f"{each:,.4g}" for each in value) if isinstance(value, tuple) else f"{value:,.4g}"


def written(page: str, name: str, text: str) -> str:
    """Return a page of Markdown with this text, indented, between `<!-- NAME -->` and `<!-- end -->`.

    Args:
        page: the current page.
        name: the name in the comment.
        text: the new text.
    """
    indented = "\n".join(f"    {line}".rstrip() for line in text.splitlines())
    block = re.compile(rf"(<!-- {name} -->\n\n).*?(\n\n<!-- end -->)", re.DOTALL)
    return block.sub(lambda found: found[1] + indented + found[2], page)


if __name__ == "__main__":
    main()
