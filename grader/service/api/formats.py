"""Which of several formats a caller wants: what `format=` says, else the header Accept (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Mapping

from grader.service.api.problems import Problem

__all__ = ["choose_format"]


def choose_format(named: str | None, accept: str, offered: Mapping[str, str]) -> str:
    """Choose a format.

    Args:
        named: what the query asks for; it comes before the header.
        accept: the header's value, "" where there is none.
        offered: each format's media type; the first is given where the caller has no wish.

    Raises:
        Problem: none of these is accepted.
    """
    if named:
        return named
    accepted = _qualities(accept) or {"*/*": 1.0}
    best, quality = "", 0.0
    for name, media_type in offered.items():
        kind = media_type.partition("/")[0]
        found = next((accepted[each] for each in (media_type, f"{kind}/*", "*/*") if each in accepted), 0.0)
        if found > quality:
            best, quality = name, found
    if not best:
        raise Problem("not-acceptable", f"this is given as {', '.join(offered.values())}")
    return best


def _qualities(accept: str) -> dict[str, float]:
    found = {}
    for part in accept.split(","):
        media_type, *parameters = (each.strip() for each in part.lower().split(";"))
        given = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            quality = float(given)
        except ValueError:
            continue
        if "/" in media_type and 0 <= quality <= 1:
            found[media_type] = quality
    return found
