"""Render reports in every format, from a `Report` and without judging anything."""

from grader.render.html import render_body, render_html
from grader.render.terminal import render_terminal

__all__ = ["render_body", "render_html", "render_terminal"]
