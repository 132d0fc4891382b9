"""A real browser opens the report of a hostile submission: no code in it runs, and no request is made."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from grader.render import render_html
from grader.results.report import File, ItemResult, Report, Verdict
from tests.support.html_pages import MARK, TRAINING, hostile, hostile_report

SECONDS = 60
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


class _Visits(BaseHTTPRequestHandler):
    """Notes who asks for what."""

    paths: list[str] = []  # noqa: RUF012 - one for all requests, emptied by the fixture

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server on this machine that a page could ask."""
    _Visits.paths.clear()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Visits) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def opened_in_a_browser(page: str, folder: Path) -> str:
    """Return the page's elements as they are after it was loaded and its scripts, if any, were run."""
    chromium = shutil.which("chromium")
    assert chromium, "no chromium on this machine: sudo apt-get install chromium"
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    command = [
        *(chromium, *QUIET, f"--user-data-dir={folder / 'profile'}"),
        *("--virtual-time-budget=2000", "--dump-dom", file.as_uri()),
    ]
    done = subprocess.run(
        command,
        env={**os.environ, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_a_hostile_report_runs_no_code_and_makes_no_request(tmp_path: Path, server: str) -> None:
    report = hostile_report(hostile(server))
    page = opened_in_a_browser(render_html(report), tmp_path)
    assert f"{report.score:g}" in page
    assert f"{report.max_score:g}" in page
    root = page[page.index("<html") : page.index(">", page.index("<html"))]
    assert MARK not in root
    assert not any(f"<{element}" in page for element in ("script", "iframe", "object", "embed"))
    # The charts are drawings of our own.
    assert page.count("<svg") == page.count('<svg viewBox="0 0 ') == 3 * len(report.items)
    assert "javascript:" not in page.replace("javascript:document", "")
    assert _Visits.paths == []


@pytest.mark.slow
def test_the_same_text_unescaped_would_have_been_noticed(tmp_path: Path, server: str) -> None:
    text = hostile(server).replace("\ud800", "")
    page = opened_in_a_browser(f"<!doctype html><html><body>{text}</body></html>", tmp_path)
    assert MARK in page[: page.index("<body")]
    assert "/image" in _Visits.paths


PHONE = 360
MEASURED = f"""
<!doctype html><html><body><iframe id="report" width="{PHONE}" height="900" srcdoc="%s"></iframe><script>
onload = () => {{
  const page = document.getElementById("report").contentDocument;
  const colour = cell => getComputedStyle(cell).backgroundColor;
  document.body.dataset.measured = JSON.stringify({{
    width: page.documentElement.scrollWidth,
    colours: [...page.querySelectorAll(".matrix")].map(matrix => [...matrix.querySelectorAll("td")].map(colour)),
    outlined: page.querySelectorAll("td.differs").length,
    text: page.body.innerText,
  }});
}}
</script></body></html>"""


def measured(page: str, folder: Path, around: str = MEASURED) -> dict[str, Any]:
    """Return measurements of a page on a phone, taken by an outer page because its own scripts do not run."""
    seen = opened_in_a_browser(around % html.escape(page), folder)
    measured = re.search(r'data-measured="([^"]*)"', seen)
    assert measured, seen[:2000]
    result: dict[str, Any] = json.loads(html.unescape(measured[1]))
    return result


@pytest.mark.slow
def test_a_picture_has_its_colours_and_fits_a_phone(tmp_path: Path) -> None:
    def row(*values: Any) -> dict[str, Any]:
        return {"shape": [1, 12], "dtype": "float32", "values": [[*values, *[0.1234] * (12 - len(values))]]}

    evidence = {
        "expected": row(-4.0, 0.0, 4.0, 2.0),
        "found": row(-4.0, 0.0, 4.0, "nan"),
        "stages": [{"layer": "convolution " * 10, "expected": [64, 112, 112], "found": [64, 224, 224]}],
    }
    item = ItemResult("corr2d", "7.2", "Cross-correlation", 0, 3, Verdict.FAILED, "is wrong", "hw2.ipynb", 1, evidence)
    report = Report("hw2", "Homework 2", "revision", (File("hw2.ipynb", "0" * 64),), (item,))
    seen = measured(render_html(report), tmp_path)
    assert seen["width"] <= PHONE
    expected, found, difference = seen["colours"]
    assert len(set(expected[:4])) == 4
    assert expected[:3] == found[:3]
    assert difference[0] == difference[1] == expected[1]
    assert seen["outlined"] == 1
    assert "nan" in seen["text"]


DRAWN = f"""
<!doctype html><html><body><iframe id="report" width="{PHONE}" height="900" srcdoc="%s"></iframe><script>
onload = () => {{
  const page = document.getElementById("report").contentDocument;
  const within = (inner, outer) =>
    inner.left >= outer.left - 1 && inner.right <= outer.right + 1 &&
    inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
  const charts = [...page.querySelectorAll(".curve > svg")].map(svg => ({{
    colours: [...svg.querySelectorAll("path[class^=way-]")].map(path => getComputedStyle(path).stroke),
    lengths: [...svg.querySelectorAll("path[class^=way-]")].map(path => path.getTotalLength()),
    inside: [...svg.querySelectorAll("path, text, circle")]
      .every(part => within(part.getBoundingClientRect(), svg.getBoundingClientRect())),
    height: svg.getBoundingClientRect().height,
    dash: svg.querySelector("path.threshold") && getComputedStyle(svg.querySelector("path.threshold")).strokeDasharray,
  }}));
  document.body.dataset.measured = JSON.stringify({{width: page.documentElement.scrollWidth, charts}});
}}
</script></body></html>"""


@pytest.mark.slow
def test_curves_are_drawn_inside_their_frames_each_in_its_colour_and_fit_a_phone(tmp_path: Path) -> None:
    item = ItemResult("lenet.training", "7.6", "Learns", 0, 3, Verdict.FAILED, "no", evidence={"training": TRAINING})
    report = Report("hw2", "Homework 2", "revision", (File("hw2.ipynb", "0" * 64),), (item,))
    seen = measured(render_html(report), tmp_path, DRAWN)
    assert seen["width"] <= PHONE
    loss, accuracy, own = seen["charts"]
    for chart in (loss, accuracy):
        assert len(set(chart["colours"])) == 3
        assert all(length > 20 for length in chart["lengths"])
    assert own["lengths"][0] > 20
    assert all(chart["inside"] and chart["height"] > 100 for chart in seen["charts"])
    assert (loss["dash"], own["dash"]) == (None, None)
    assert accuracy["dash"] not in (None, "none")
