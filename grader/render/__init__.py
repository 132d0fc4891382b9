"""Reports for people: each format is rendered from a `Report` and adds no judgement of its own."""

from grader.render.html import render_body, render_html
from grader.render.terminal import render_terminal

__all__ = ["render_body", "render_html", "render_terminal"]
