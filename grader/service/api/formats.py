"""Content negotiation: choose a format by the query's `format=`, else by the header Accept (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Mapping

from grader.service.api.problems import Problem

__all__ = ["choose_format"]


def choose_format(requested: str | None, accept: str, offered: Mapping[str, str]) -> str:
    """Choose a format.

    Args:
        requested: the format that the query asks for, which takes precedence over the header; None if it names none.
        accept: value of the header; "" if it is missing.
        offered: media type of each format. The first one is the default.

    Raises:
        Problem: the caller accepts none of these.
    """
    if requested:
        return requested
    accepted = _parse_accept(accept) or {"*/*": 1.0}
    best, quality = "", 0.0
    for name, media_type in offered.items():
        kind = media_type.partition("/")[0]
        weight = next((accepted[key] for key in (media_type, f"{kind}/*", "*/*") if key in accepted), 0.0)
        if weight > quality:
            best, quality = name, weight
    if not best:
        raise Problem("not-acceptable", f"the available formats are {', '.join(offered.values())}")
    return best


def _parse_accept(accept: str) -> dict[str, float]:
    """Return the quality of each media type; entries that cannot be parsed are skipped."""
    qualities = {}
    for part in accept.split(","):
        media_type, *parameters = (field.strip() for field in part.lower().split(";"))
        text = next((field[2:] for field in parameters if field.startswith("q=")), "1")
        try:
            quality = float(text)
        except ValueError:
            continue
        if "/" in media_type and 0 <= quality <= 1:
            qualities[media_type] = quality
    return qualities
