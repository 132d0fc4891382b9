"""Name the differences between a student's model and the textbook's, in the order of the forward pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from grader.training.alignment import Alike, Interval, align_between, are_alike, list_intervals
from grader.training.graph_reader import Forward
from grader.training.step_names import (
    count_layers,
    describe_layer,
    describe_step,
    format_shape,
    list_modules,
    list_names,
    name_function,
    name_settings,
)
from grader.training.steps import Step, StepKind, list_steps

__all__ = ["Difference", "find_differences", "summarise"]

Aspect = Literal["missing", "extra", "order", "setting", "variant", "bias", "flattening", "shared", "unused", "refused"]

_WITH_WEIGHTS = ("convolution", "linear")
_LONGEST_ORDER = 12  # steps of a model whose order is told as a whole
_VERBS = {
    "cat": "is concatenated to the branch",
    "mul": "is multiplied with the branch",
    "sub": "is subtracted",
    "div": "is divided by",
    "maximum": "is compared with the branch, the larger number counts",
    "minimum": "is compared with the branch, the smaller number counts",
}


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        text: a sentence without a full stop.
        aspect: in what the models differ.
        kind: what differs.
        layer: the name of the layer with weights that differs or stands before it; "" at the beginning.
        variant: of what differs, as in `Step`.
    """

    text: str
    aspect: Aspect
    kind: StepKind
    layer: str = ""
    variant: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from another difference: the names that a student gives to modules do not."""
        return (self.aspect, self.kind, self.layer, self.variant, "" if self.aspect == "unused" else self.text)

    @property
    def changes_parameters(self) -> bool:
        """Whether it may change the number of learnable numbers."""
        return self.aspect not in ("order", "refused") and self.kind in (
            "convolution",
            "linear",
            "normalisation",
            "pooling",
        )


def find_differences(
    found: Forward, book: Forward, names: Sequence[str] = (), alike: Alike = (), unused: Sequence[str] = ()
) -> tuple[Difference, ...]:
    """Return the differences, none if some operation is unknown.

    Args:
        found: the student's forward pass. If torch refused its last operation, it is compared that far.
        book: the textbook's.
        names: of the textbook's layers with weights, in order.
        alike: sets of variants between which there is no difference, such as ("relu", "sigmoid").
        unused: the names of parameters of the student's model that its output does not depend on.
    """
    steps, right = list_steps(found), list_steps(book)
    if steps is None or right is None:
        return ()
    differences = tuple(_Comparison(steps, right, list_names(right, names), alike, found.is_open).run())
    if unused and any(each.aspect == "missing" and each.kind in _WITH_WEIGHTS for each in differences):
        text = f"the output does not depend on {list_modules(unused)}: what they give is not used"
        return (Difference(text, "unused", "convolution"),)
    reordered = _find_order(steps, right, differences)
    return (reordered,) if reordered else differences


def summarise(differences: Sequence[Difference]) -> str:
    """Return one sentence: the first difference, and how many follow. Return "" if there is none."""
    if not differences:
        return ""
    first, *others = differences
    if first.aspect != "refused" and others and others[-1].aspect == "refused":
        refused = f"; then {others.pop().text}"
    else:
        refused = ""
    if not others:
        return first.text + refused
    alike = all(
        (other.aspect, other.kind, other.variant) == (first.aspect, first.kind, first.variant) for other in others
    )
    more = f"{len(others)} more like it" if alike else f"{len(others)} more difference{'s' * (len(others) > 1)}"
    return f"{first.text} (and {more}){refused}"


def _find_order(found: Sequence[Step], book: Sequence[Step], differences: Sequence[Difference]) -> Difference | None:
    """Return a single difference if a small model has the right steps in another order across its layers."""
    sides: dict[str, list[tuple[str, str]]] = {"missing": [], "extra": []}
    for difference in differences:
        if difference.aspect not in sides or difference.kind in _WITH_WEIGHTS:
            return None
        sides[difference.aspect].append((difference.kind, difference.variant))
    is_moved = bool(sides["extra"]) and Counter(sides["extra"]) == Counter(sides["missing"])
    if not is_moved or max(len(found), len(book)) > _LONGEST_ORDER:
        return None
    orders = [", ".join(describe_step(step) for step in steps if not step.on_shortcut) for steps in (found, book)]
    text = f"the layers stand in another order: {orders[0]} (the book's: {orders[1]})"
    return Difference(text, "order", "normalisation")


class _Comparison:
    """Compares two models.

    Args:
        found, book: their steps.
        names: of the book's layers with weights by their numbers.
        alike: sets of variants between which there is no difference.
        is_open: whether the student's model is known only up to its last step.
    """

    def __init__(
        self, found: Sequence[Step], book: Sequence[Step], names: dict[int, str], alike: Alike, is_open: bool
    ) -> None:
        self._found = found
        self._book = book
        self._names = names
        self._alike = alike
        self._is_open = is_open
        self._tells_flattening = False
        self._users: dict[int, str] = {}  # what uses a parameter, by the parameter's number

    def run(self) -> Iterator[Difference]:
        """Yield the differences in the order of the forward pass."""
        for interval in list_intervals(self._found, self._book, self._is_open):
            if interval.found is not None and interval.book is not None:
                yield from self._compare_layer(self._found[interval.found], interval.book)
            yield from self._compare_interval(interval)

    def _after(self, interval: Interval) -> str:
        return self._names[interval.book] if interval.book is not None else ""

    def _compare_layer(self, step: Step, number: int) -> Iterator[Difference]:
        """Yield the differences of a layer with weights."""
        right, name = self._book[number], self._names[number]
        shared = self._note_use(step, name)
        if shared:
            yield Difference(f"{name} is {shared} again: one layer stands in two places", "shared", step.kind, name)
        is_map = right.kind == "linear" and len(step.before) > 1 and math.prod(step.before[1:]) > 1
        if is_map and not step.is_refused and not self._tells_flattening:
            self._tells_flattening = True  # the layers after it have such an input as well
            text = f"the maps are not flattened before {name}, whose input is {format_shape(step.before)}"
            yield Difference(text, "flattening", step.kind, name)
        if step.on_shortcut != right.on_shortcut:
            stands = "stands on the shortcut" if step.on_shortcut else "is applied to the branch, not to the shortcut"
            yield Difference(f"{name} {stands}", "setting", step.kind, name)
        exchanged = step.is_refused and (step.width, step.takes) == (right.takes, right.width)
        settings = name_settings(step, right, with_width=not exchanged)
        if settings:
            yield Difference(f"{name} has {settings}", "setting", step.kind, name)
        if step.is_refused:
            yield from self._describe_refusal(step, name, exchanged)
        elif step.has_bias != right.has_bias:
            has = "has a bias, the book's has none" if step.has_bias else "has no bias"
            yield Difference(f"{name} {has}", "bias", step.kind, name)

    def _note_use(self, step: Step, name: str) -> str:
        """Return what has used a step's parameters before, or ""."""
        users = [self._users.setdefault(number, name) for number in step.parameters]
        return next((user for user in users if user != name), "")

    def _compare_interval(self, interval: Interval) -> Iterator[Difference]:
        name = self._after(interval)
        between = list(self._compare_between(interval, name))
        if interval.missing or interval.extra:
            is_refused = bool(between) and between[-1].aspect == "refused"
            between = between[-1:] if is_refused else []
        if interval.missing:
            names = [self._names[number] for number in interval.missing]
            kind = self._book[interval.missing[0]].kind
            yield Difference(count_layers(names), "missing", kind, name)
        for number in interval.extra:
            step = self._found[number]
            described = describe_layer(step)
            shared = self._note_use(step, described)
            again = f", which is {shared} again" if shared else ""
            yield Difference(f"a layer too many {_place(name)}: {described}{again}", "extra", step.kind, name)
            if step.is_refused:
                yield from self._describe_refusal(step, described, False)
        yield from between

    def _compare_between(self, interval: Interval, name: str) -> Iterator[Difference]:
        """Yield the differences of the steps between two layers with weights."""
        pairs = align_between(self._found, self._book, interval, self._alike, self._is_open)
        moved = self._find_moved(interval, pairs)
        if moved is not None:
            text = f"{_place(name)}, {self._describe_order(interval)}"
            yield Difference(text, "order", self._book[moved].kind, name)
            return
        for mine, right in pairs:
            if mine is None and right is not None:
                yield self._describe_missing(self._book[right], name)
            elif mine is not None:
                yield from self._compare_step(self._found[mine], None if right is None else self._book[right], name)

    def _find_moved(self, interval: Interval, pairs: Sequence[tuple[int | None, int | None]]) -> int | None:
        """Return the number of a step of the book's that the student's model has before or after another one."""
        extra = [self._found[i] for i, j in pairs if i is not None and j is None]
        missing = [j for i, j in pairs if i is None and j is not None]
        if interval.extra or interval.missing:
            return None
        for number in missing:
            step = self._book[number]
            if any(self._is_same(one, step) for one in extra):
                return number
        return None

    def _describe_order(self, interval: Interval) -> str:
        """Name the first two steps of an interval that are exchanged, and the book's order."""
        found = [self._found[number] for number in interval.found_between]
        book = [self._book[number] for number in interval.book_between]
        order = ", ".join(describe_step(step) for step in book)
        for place, (mine, right) in enumerate(zip(found, book, strict=False)):
            if not self._is_same(mine, right):
                later = next((step for step in found[place + 1 :] if self._is_same(step, right)), None)
                if later is not None:
                    return f"{describe_step(mine)} comes before {describe_step(later)}; the book's order is {order}"
        return f"the order is {', '.join(describe_step(step) for step in found)}; the book's order is {order}"

    def _is_same(self, one: Step, other: Step) -> bool:
        return one.kind == other.kind and are_alike(one.variant, other.variant, self._alike)

    def _describe_missing(self, right: Step, name: str) -> Difference:
        place = _place(name)
        match right.kind:
            case "activation":
                others = any(right.variant in variants for variants in self._alike)
                function = "activation function" if others else name_function(right.variant)
                text = f"no {function} stands {place}"
            case "join":
                text = f"the shortcut is not added {place}"
            case _:
                text = f"no {describe_step(right, with_variant=False)} stands {place}"
        return Difference(text, "missing", right.kind, name, right.variant)

    def _compare_step(self, step: Step, right: Step | None, name: str) -> Iterator[Difference]:
        """Yield the differences of a step from the book's, or from nothing."""
        own = f"the {step.kind} {_place(name)}"
        shared = self._note_use(step, own)
        if right is None:
            text = f"a {describe_step(step)} too many stands {_place(name)}"
            yield Difference(text, "extra", step.kind, name, step.variant)
        else:
            if shared:
                yield Difference(f"{own} is {shared} again: one layer stands in two places", "shared", step.kind, name)
            if not are_alike(step.variant, right.variant, self._alike):
                yield Difference(_contrast_variants(step, right, name), "variant", step.kind, name, step.variant)
            settings = name_settings(step, right) if step.kind == "pooling" else ""
            if settings:
                yield Difference(f"{own} has {settings}", "setting", step.kind, name)
            if step.kind == "join" and step.spans != right.spans and not step.is_refused:
                text = (
                    f"the shortcut goes around {step.spans} layer{'s' * (step.spans != 1)} (the book's: {right.spans})"
                )
                yield Difference(text, "setting", "join", name)
        if step.is_refused:
            yield from self._describe_refusal(step, own, False)

    def _describe_refusal(self, step: Step, name: str, exchanged: bool) -> Iterator[Difference]:
        """Yield why torch refused an operation, as far as the shapes say so."""
        text = _describe_clash(step, name, self._find_maps(step))
        if exchanged:
            text = f"{name} has its channels exchanged: it takes {step.takes} and gives {step.width}"
        if text:
            yield Difference(text, "refused", step.kind, name)

    def _find_maps(self, refused: Step) -> str:
        """Return the shape of the maps whose pixels a refused layer would take, as "=16x5x5"."""
        maps = next((step.shape for step in reversed(self._found[:-1]) if len(step.shape) == 3), ())
        return f" ({format_shape(maps)})" if maps and refused.before == (math.prod(maps),) else ""


def _place(name: str) -> str:
    return f"after {name}" if name else "at the beginning"


def _contrast_variants(step: Step, right: Step, name: str) -> str:
    if step.kind == "join":
        return f"the shortcut {_VERBS.get(step.variant, step.variant)} {_place(name)}, not added"
    if step.kind == "pooling":
        return f"the pooling {_place(name)} takes the {step.variant} (the book's: {right.variant})"
    return f"{name_function(step.variant)} stands {_place(name)} (the book's: {name_function(right.variant)})"


def _describe_clash(step: Step, name: str, maps: str) -> str:
    before, shape = step.before, format_shape(step.before)
    match step.kind:
        case "convolution" | "pooling" if len(before) != 3:
            return f"the maps are already flattened before {name}"
        case "convolution" if before[0] != step.takes:
            return f"{name} takes {step.takes} channels, its input has {before[0]} ({shape})"
        case "convolution" | "pooling":
            return f"the windows of {name} are larger than its input of {shape}"
        case "linear" if len(before) == 1:
            return f"{name} takes {step.takes} numbers, its input has {shape}{maps}"
        case "linear":
            return f"the maps are not flattened before {name}: it takes {step.takes} numbers, its input is {shape}"
        case "normalisation":
            return f"{name} is made for {step.takes} channels, its input has {before[0]}"
        case "join":
            joined = "concatenated" if step.variant == "cat" else "added"
            return f"the branch gives {shape} and the shortcut {format_shape(step.other)}, which cannot be {joined}"
    return ""
