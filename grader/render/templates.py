"""Load the templates of pages. Every text that they write is sanitised and escaped."""

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
    """Return the environment that renders the templates of a folder."""

    def load(name: str) -> str | None:
        file = folder.joinpath(name)
        return file.read_text("utf-8") if file.is_file() else None

    environment = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        finalize=_sanitise,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        line=sanitise_line, points=format_points, wide=choose_width_class, steps=STEPS, ways=DRAWN_WAYS
    )
    return environment


def load_template(name: str) -> Template:
    """Return a template of reports and overviews."""
    return _environment().get_template(name)


@cache
def load_stylesheet() -> str:
    """Return the style of all pages, which is embedded in standalone pages and served to others."""
    return load_template("page.css.jinja").render()


def choose_width_class(share: float) -> str:
    """Return the CSS class for a width, because the content security policy forbids style attributes.

    Args:
        share: the width as a share of the whole, from 0 to 1.
    """
    return f"wide-{round(100 * min(max(share, 0.0), 1.0))}"


@cache
def _environment() -> Environment:
    return make_environment(files("grader.render"))


def _sanitise(value: Any) -> Any:
    """Sanitise every text that a template writes, except Markup, which is already safe."""
    return sanitise_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value
