"""Templates of pages: every text that they write is cleaned and escaped, whoever it comes from."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from grader.render.chart import DRAWN_WAYS
from grader.render.picture import STEPS
from grader.render.text import format_points, sanitise_line, sanitise_text

__all__ = ["choose_width_class", "load_stylesheet", "load_template", "make_environment"]


def make_environment(folder: Traversable) -> Environment:
    """Return what renders the templates of a folder."""

    def source(name: str) -> str | None:
        file = folder.joinpath(name)
        return file.read_text("utf-8") if file.is_file() else None

    made = Environment(
        loader=FunctionLoader(source),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(line=sanitise_line, points=format_points, wide=choose_width_class, steps=STEPS, ways=DRAWN_WAYS)
    return made


def load_template(name: str) -> Template:
    """Return a template of reports and overviews."""
    return _environment().get_template(name)


@cache
def load_stylesheet() -> str:
    """Return the style of all pages: written into those that stand alone, and served beside others."""
    return load_template("page.css.jinja").render()


def choose_width_class(share: float) -> str:
    """Return the class of what is so wide: a strict policy allows no style at the element.

    Args:
        share: of the whole, from 0 to 1.
    """
    return f"wide-{round(100 * min(max(share, 0.0), 1.0))}"


@cache
def _environment() -> Environment:
    return make_environment(files("grader.render"))


def _shown(value: Any) -> Any:
    """Clean every text that a template writes; what it has escaped already is its own."""
    return sanitise_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value
