"""The results of `make bench` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.batches import Batch
from benchmarks.measuring import Usage

__all__ = ["Results", "aims", "batches_of", "markdown"]

Results = Mapping[str, Any]
Row = Sequence[object]


def markdown(results: Results) -> str:
    """Return all measurements; parts that were not run are left out."""
    machine, parts = results["machine"], results["parts"]
    head = [f"{name}: {value}" for name, value in machine.items()]
    sections = ["# Benchmarks", "\n".join(f"- {line}" for line in head), _aims(parts), _batches(parts), _floors(parts)]
    sections += [_memory(parts), _sandboxes(parts), _cold_start(parts), _flat(parts), _loads(parts)]
    return "\n\n".join(section for section in sections if section) + "\n"


def batches_of(part: Mapping[str, Any]) -> list[Batch]:
    """Read the batches of a part from JSON."""
    return [
        Batch(each["grader"], each["notebook"], {int(size): Usage(**usage) for size, usage in each["usages"].items()})
        for each in part["batches"]
    ]


def aims(parts: Mapping[str, Any]) -> list[tuple[str, float, float, bool]]:
    """Return the targets: a description, the result, the bound, and whether more is better."""
    found: list[tuple[str, float, float, bool]] = []
    batches = batches_of(parts["graders"]) if "graders" in parts else []
    ours = [batch for batch in batches if batch.grader == "this grader"]
    peers = [batch for batch in batches if batch.grader not in {"this grader", "fresh kernel"}]
    for batch in ours:
        alike = [peer for peer in peers if peer.notebook == batch.notebook]
        if alike:
            warm = batch.a_minute_warm / max(peer.a_minute_warm for peer in alike)
            whole = batch.a_minute / max(peer.a_minute for peer in alike)
            found.append(("submissions a minute, of the better peer's, once started (times)", warm, 25, True))
            found.append((f"the same, a class of {batch.largest} with the start (times)", whole, 25, True))
        if "floors" in parts:
            forked = parts["floors"][batch.notebook]["forked"]["cpu"]
            words = f"CPU of a submission beyond twice the fork floor, {batch.notebook} (s)"
            found.append((words, batch.cpu - 2 * forked, 0.1, False))
    if "sandboxes" in parts:
        for notebook, sizes in parts["sandboxes"]["memory"].items():
            found.append((f"memory of one more sandbox, {notebook} (MiB)", _of_one_more(sizes), 80, False))
    if "cold_start" in parts:
        imported, *checked = parts["cold_start"].values()
        ratio = checked[0]["wall"] / imported["wall"]
        found.append(("`grader check` from nothing, of importing torch and torchvision (times)", ratio, 1.2, False))
    return found


def _aims(parts: Mapping[str, Any]) -> str:
    rows = [
        (words, f"{value:.2f}", f"{'≥' if more else '≤'} {bound:g}", "yes" if (value >= bound) == more else "no")
        for words, value, bound, more in aims(parts)
    ]
    return "## Aims\n\n" + _table(("", "found", "aim", "reached"), rows) if rows else ""


def _batches(parts: Mapping[str, Any]) -> str:
    if "graders" not in parts:
        return ""
    batches = batches_of(parts["graders"])
    best = {batch.notebook: batch for batch in batches if batch.grader == "this grader"}
    rows, sizes = [], []
    for batch in batches:
        ours = best.get(batch.notebook)
        ratio = f"{batch.cpu / ours.cpu:.1f}" if ours else ""
        rows.append((
            batch.grader, batch.notebook, f"{batch.cpu:.2f}", f"{batch.wall:.2f}", ratio, f"{batch.start_cpu:.1f}",
            f"{batch.start_wall:.1f}", f"{batch.a_minute:.1f}", f"{batch.a_minute_warm:.1f}",
        ))  # fmt: skip
        for size, usage in batch.usages.items():
            sizes.append((batch.grader, batch.notebook, size, f"{usage.wall:.1f}", f"{usage.cpu:.1f}"))
    titles = ("", "notebook", "CPU s", "wall s", "CPU, of ours", "start CPU s", "start s", "a minute", "once started")
    return (
        "## Graders, two at once\n\nOne more submission, then what a class takes whatever its size, then submissions a "
        f"minute of the largest class.\n\n{_table(titles, rows)}\n\nWhole classes:\n\n"
        + _table(("", "notebook", "submissions", "wall s", "CPU s"), sizes)
    )


def _floors(parts: Mapping[str, Any]) -> str:
    if "floors" not in parts:
        return ""
    words = {"warm": "cells exec'd in a warm process", "forked": "cells and nine checks exec'd in a fork of it"}
    rows = [
        (notebook, words[floor], f"{usage['cpu']:.3f}", f"{usage['wall']:.3f}")
        for notebook, floors in parts["floors"].items()
        for floor, usage in floors.items()
    ]
    return "## Floors\n\n" + _table(("notebook", "", "CPU s", "wall s"), rows)


def _memory(parts: Mapping[str, Any]) -> str:
    rows = [(name, f"{mebibytes:.0f}") for name, mebibytes in parts.get("memory", {}).items()]
    return "## Most memory of a class (PSS of all processes)\n\n" + _table(("", "MiB"), rows) if rows else ""


def _sandboxes(parts: Mapping[str, Any]) -> str:
    if "sandboxes" not in parts:
        return ""
    rows = [
        (notebook, *(f"{mebibytes:.0f}" for mebibytes in sizes.values()), f"{_of_one_more(sizes):.0f}")
        for notebook, sizes in parts["sandboxes"]["memory"].items()
    ]
    counts = list(next(iter(parts["sandboxes"]["memory"].values())))
    table = _table(("notebook", *(f"{count} alive" for count in counts), "one more"), rows)
    answer = 1000 * parts["sandboxes"]["first answer"]
    return (
        "## Sandboxes of one warm process, after the notebook (MiB, PSS)\n\n"
        f"{table}\n\nA kernel in a new sandbox has run a first cell after {answer:.0f} ms."
    )


def _cold_start(parts: Mapping[str, Any]) -> str:
    rows = [(f"`{name}`", f"{u['wall']:.2f}", f"{u['cpu']:.2f}") for name, u in parts.get("cold_start", {}).items()]
    return "## From nothing\n\n" + _table(("", "wall s", "CPU s"), rows) if rows else ""


def _flat(parts: Mapping[str, Any]) -> str:
    if "flat" not in parts:
        return ""
    rows = [
        (batch.notebook, size, f"{usage.cpu / size:.2f}", f"{usage.wall / size:.2f}", f"{60 * size / usage.wall:.1f}")
        for batch in batches_of(parts["flat"])
        for size, usage in batch.usages.items()
    ]
    titles = ("notebook", "submissions", "CPU s each", "wall s each", "a minute")
    return "## Does it stay that cheap (the start counted)\n\n" + _table(titles, rows)


def _loads(parts: Mapping[str, Any]) -> str:
    rows = [(name, f"{part['load']:.1f}") for name, part in parts.get("ran", {}).items()]
    return "## Load of the machine before each part\n\n" + _table(("part", "load"), rows) if rows else ""


def _of_one_more(sizes: Mapping[Any, float]) -> float:
    by_count = {int(count): mebibytes for count, mebibytes in sizes.items()}
    least, most = min(by_count), max(by_count)
    return (by_count[most] - by_count[least]) / (most - least)


def _table(titles: Row, rows: Sequence[Row]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
