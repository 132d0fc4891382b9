"""Say what the names in evidence stand for, in the order in which a function takes them.

JSON keeps no order, and X, K or G say nothing to somebody who has not read the test: the rubric's [symbols] explain
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from grader.results.report import ItemResult

__all__ = ["explain_symbols"]

_RESULTS = ("expected", "found")
_TENSOR_KEYS = {"shape", "dtype", "values"}


def explain_symbols(result: ItemResult, symbols: Mapping[str, str]) -> ItemResult:
    """Return a result whose evidence names its inputs in order, each with its words, "" if the rubric has none.

    Args:
        result: the result of an item.
        symbols: the words for names; those for `found` are about what the function returned.
    """
    names = list(dict.fromkeys(_find_names(result.evidence)))
    if not names:
        return result
    if "found" in symbols:
        names.append("found")
    explained = [[name, symbols.get(name, "")] for name in names]
    return replace(result, evidence={**result.evidence, "symbols": explained})


def _find_names(evidence: Mapping[str, Any]) -> Iterator[str]:
    smallest = evidence.get("smallest")
    for case in (evidence, smallest if isinstance(smallest, Mapping) else {}):
        inputs = case.get("inputs")
        yield from inputs if isinstance(inputs, Mapping) else ()
        for result in _RESULTS:
            value = case.get(result)
            if isinstance(value, Mapping) and not value.keys() <= _TENSOR_KEYS:
                yield from value
