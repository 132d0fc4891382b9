"""Reports for people: each format is rendered from a `Report` and adds no judgement of its own."""

from grader.render.html import render_html, report_body
from grader.render.terminal import render_terminal

__all__ = ["render_html", "render_terminal", "report_body"]
