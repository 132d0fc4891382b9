"""Judge a notebook's definitions with recorded cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from grader.authoring.bundling.check.cells import TimeUp, limit_time_and_output
from grader.authoring.bundling.check.replay import Replay, Unclear, Wrong
from grader.authoring.bundling.check.results import ItemCheck

__all__ = ["WrongCase", "fingerprint_mistake", "judge_change", "judge_item"]

_ROUNDING = 1e-4  # two implementations of the same mistake differ by less
_MOST_NAMES = 3  # a mistake that more names fit is told by its numbers only
_SMALL = 64  # a tensor with more entries is shown by its shape and first entry


@dataclass(frozen=True)
class WrongCase:
    """A case that goes wrong: its number, the inputs of the question that failed by name, and the student's result."""

    number: int
    description: str
    inputs: Mapping[str, Any]
    why: str
    found: Any = None


def judge_item(item: Mapping[str, Any], names: Mapping[str, Any], seconds: float) -> ItemCheck:
    """Return the result for one item; see `judge_change` for the arguments."""
    result = ItemCheck(item["id"], item["section"], "right")
    wrong, unclear = judge_change(item, names, seconds)
    if unclear:
        return replace(result, verdict="unclear", why=f"{unclear}; the course's grader may be able to judge it")
    if not wrong:
        return result
    case = wrong[0]
    first = f", first with {case.description}" if case.description else ""
    where = f"in {len(wrong)} of {len(item['cases'])} cases{first}" if len(item["cases"]) > 1 else ""
    fingerprint = fingerprint_mistake(wrong)
    known = [mistake["says"] for mistake in item["mistakes"] if _are_alike(mistake["marks"], fingerprint)]
    why = ". ".join([*_name_mistake(list(dict.fromkeys(known))), case.why])
    return replace(result, verdict="wrong", where=where, why=why, shown=tuple(_show_case(case)))


def judge_change(item: Mapping[str, Any], names: Mapping[str, Any], seconds: float) -> tuple[list[WrongCase], str]:
    """Run an item's cases. Return those that go wrong, and why there is no verdict ("" if there is one).

    Args:
        item: the item, as it is stored.
        names: the notebook's definitions by name.
        seconds: the time limit for each case.
    """
    wrong = []
    for number, case in enumerate(item["cases"]):
        replay = Replay(names)
        try:
            with limit_time_and_output(seconds):
                for step in case["steps"]:
                    replay.ask(step)
        except Wrong as mismatch:
            wrong.append(WrongCase(number, case["description"], replay.inputs, str(mismatch), mismatch.found))
        except TimeUp:
            slow = f"takes more than {seconds:g} seconds"
            return [*wrong, WrongCase(number, case["description"], replay.inputs, slow)], ""
        except Unclear as reason:
            return wrong, str(reason)
        except Exception as error:  # an answer for which no comparison was written
            why = f"gives something that cannot be compared ({type(error).__name__}: {error})"
            wrong.append(WrongCase(number, case["description"], replay.inputs, why))
    return wrong, ""


def fingerprint_mistake(wrong: Sequence[WrongCase]) -> list[Any]:
    """Return what distinguishes one mistake from another: the number of each wrong case, and two sums of its result."""
    return [[case.number, _fingerprint_case(case)] for case in wrong]


def _fingerprint_case(case: WrongCase) -> Any:
    found = case.found
    if isinstance(found, Tensor) and not found.is_complex() and bool(found.isfinite().all()):
        flat = found.double().flatten()
        weights = torch.linspace(1, 2, len(flat), dtype=torch.float64, device="cpu")
        return [list(found.shape), float(flat.sum()), float((flat * weights).sum())]
    return case.why.partition(": ")[0] if case.why.startswith("raises ") else case.why


def _are_alike(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_are_alike(*pair) for pair in zip(a, b))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= _ROUNDING * max(1.0, abs(a))
    return bool(a == b)


def _name_mistake(known: Sequence[str]) -> Iterator[str]:
    """Yield what is known of a mistake: by one name, or by a few that the recorded cases do not tell apart."""
    if len(known) == 1:
        yield known[0]
    elif 1 < len(known) <= _MOST_NAMES:
        yield f"either {', or '.join(known)}"


def _show_case(case: WrongCase) -> Iterator[str]:
    for name, value in case.inputs.items():
        yield from _show(name, value)
    if case.found is not None:
        yield from _show("your result", case.found)


def _show(name: str, value: Any) -> Iterator[str]:
    """Yield lines with a value's shape and type, and its entries, or the first of them if there are many."""
    if isinstance(value, Tensor):
        kind = str(value.dtype).rpartition(".")[2]
        yield f"{name}, {_format_size(value)} {kind}:"
        yield from (f"    {line}" for line in _describe_entries(value).split("\n"))
    else:
        yield f"{name}: {str(value)[:200]}"


def _describe_entries(value: Tensor) -> str:
    if value.layout is not torch.strided or value.device.type == "meta":
        return f"without entries that can be shown ({value.layout}, {value.device})"
    plain = value.detach().cpu()
    return str(plain) if plain.numel() <= _SMALL else f"begins with {plain.flatten()[0].item():.6g}"


def _format_size(value: Tensor) -> str:
    return f"shape {tuple(value.shape)}" if value.ndim else "one number,"
