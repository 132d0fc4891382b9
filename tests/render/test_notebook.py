"""A notebook's text, code and outputs are shown; no code in it runs, and nothing is loaded."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from grader.render import notebook
from grader.render.notebook import render_notebook
from tests.support.html_pages import Page

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(20)).decode()
HOSTILE = "</pre></div><script>mark()</script><img src=//evil.example onerror=mark()>{{ 7*7 }}\x1b[31m\u202e\x00\ud800"


def cell(kind: str, source: Any, **others: Any) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source, **others}


def shown(*cells: Any) -> Page:
    page = Page(str(render_notebook({"cells": list(cells)})))
    assert page.balanced
    return page


def output(kind: str, **others: Any) -> dict[str, Any]:
    return cell("code", "x", outputs=[{"output_type": kind, **others}])


def data(**kinds: Any) -> dict[str, Any]:
    return output("display_data", data={kind.replace("_", "/"): value for kind, value in kinds.items()})


def test_the_public_names_are_sorted() -> None:
    assert notebook.__all__ == sorted(notebook.__all__)


def test_code_and_markdown_are_shown_in_order_and_numbered() -> None:
    page = shown(cell("markdown", "# 토론\n\n**왜** 그런가?"), cell("code", ["def f(x):\n", "    return x < 2 & 1"]))
    assert page.text.index("토론") < page.text.index("return x < 2 & 1")
    assert [each["id"] for each in page.all("div") if "id" in each] == ["cell-1", "cell-2"]  # from 1, as people count
    assert len(page.all("strong")) == 1


def test_headings_stay_below_the_title_of_the_page() -> None:
    page = shown(cell("markdown", "# one\n\n###### six\n\ntwo\n==="))
    assert [tag for tag, _ in page.elements if tag.startswith("h")] == ["h2", "h6", "h2"]


def test_a_table_of_markdown_is_a_table() -> None:
    assert len(shown(cell("markdown", "| a | b |\n| - | - |\n| 1 | 2 |")).all("td")) == 2


@pytest.mark.parametrize(
    "made",
    [
        cell("markdown", HOSTILE),
        cell("markdown", f"[{HOSTILE}](https://a.example '{HOSTILE}')"),
        cell("markdown", f"![{HOSTILE}](attachment:x.png)", attachments={"x.png": {"image/png": PNG}}),
        cell("markdown", f"```{HOSTILE}\n{HOSTILE}\n```"),
        cell("code", HOSTILE),
        cell("raw", HOSTILE),
        cell(HOSTILE, HOSTILE),
        output("stream", name=HOSTILE, text=HOSTILE),
        output("error", ename=HOSTILE, evalue=HOSTILE, traceback=[HOSTILE]),
        output("error", ename=HOSTILE, evalue=HOSTILE),
        data(text_plain=HOSTILE, text_html=HOSTILE),
        data(text_plain=HOSTILE, image_png=PNG),
        output("display_data", data={HOSTILE: HOSTILE}),
    ],
)
def test_a_student_s_text_is_shown_literally(made: dict[str, Any]) -> None:
    text = str(render_notebook({"cells": [made]}))
    page = Page(text)
    assert page.balanced
    assert not {tag for tag, _ in page.elements} & {"script", "iframe", "object", "style", "link", "form"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert all((each["src"] or "").startswith("data:image/png;base64,") for each in page.all("img"))
    assert not set("\x1b\u202e\x00\ud800") & set(text)


def test_a_table_is_shown_as_a_table_without_what_acts_in_it() -> None:
    table = (
        "<table onclick='x()'><tr><td style='position: fixed'>in a <a href='javascript:x()'>cell</a></td></tr></table>"
    )
    page = shown(data(text_html=f"<script>y()</script>{table}&#x202e;", text_plain="plain"))
    assert len(page.all("table")) == len(page.all("td")) == 1
    assert "in a cell" in page.text
    assert not {"plain", "y()"} & set(page.text.split())
    assert page.all("script") == page.all("a") == []
    assert page.all("td") == [{}]
    assert "\u202e" not in page.text


def test_html_without_text_or_of_endless_length_gives_way_to_its_plain_text() -> None:
    for html in ("<iframe src='https://a.example'></iframe>", "<td>" * 100_000):
        page = shown(data(text_html=html, text_plain="plain"))
        assert "plain" in page.text
        assert page.all("iframe") == page.all("td") == []


def test_markdown_of_an_output_is_rendered_without_its_html() -> None:
    page = shown(data(text_markdown="**bold** <b onclick='x()'>b</b>", text_plain="<Markdown object>"))
    assert page.all("strong") == [{}]
    assert page.all("b") == []


def test_latex_is_shown_as_it_is_written() -> None:
    assert "$x^2$" in shown(data(text_latex="$x^2$")).text


@pytest.mark.parametrize("kind", ["application_javascript", "application_vnd.jupyter.widget-view+json"])
def test_outputs_that_cannot_be_shown_are_named(kind: str) -> None:
    page = shown(data(**{kind: "<b>x</b>"}))
    assert f"left out: {kind.replace('_', '/')}" in page.text


@pytest.mark.parametrize(("kind", "picture"), [("image_png", PNG), ("image_jpeg", JPEG)])
def test_a_picture_is_written_into_the_page(kind: str, picture: str) -> None:
    (image,) = shown(data(**{kind: picture + "\n", "text_plain": "<Figure size 640x480>"})).all("img")
    assert image == {"src": f"data:{kind.replace('_', '/')};base64,{picture}", "alt": "<Figure size 640x480>"}


@pytest.mark.parametrize("picture", ["", "%%%", JPEG, '"><script>', "a" * (2 * 2**20 + 4)])
def test_an_invalid_png_is_not_shown(picture: str) -> None:
    page = shown(data(image_png=picture, text_plain="its text"))
    assert page.all("img") == []
    assert "its text" in page.text


def test_a_drawing_is_loaded_as_a_picture_in_which_nothing_runs() -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><script>mark()</script></svg>'
    page = shown(output("display_data", data={"image/svg+xml": drawing}))
    (image,) = page.all("img")
    encoded = (image["src"] or "").removeprefix("data:image/svg+xml;base64,")
    assert base64.b64decode(encoded).decode() == drawing
    assert page.all("svg") == page.all("script") == []


@pytest.mark.parametrize(
    "address",
    ["javascript:mark()", "JaVaScRiPt:mark()", "data:text/html,x", "vbscript:x", "file:///etc", "//evil.example", "x"],
)
def test_a_link_leads_to_a_page_or_nowhere(address: str) -> None:
    assert shown(cell("markdown", f"[here]({address}) <{address}>")).all("a") == []


def test_a_link_sends_no_referrer() -> None:
    (link,) = shown(cell("markdown", "[the book](https://d2l.ai)")).all("a")
    assert link == {"href": "https://d2l.ai", "rel": "noopener noreferrer nofollow"}


def test_a_remote_picture_is_not_loaded() -> None:
    page = shown(cell("markdown", "![a cat](https://evil.example/cat.png)"))
    assert page.all("img") == []
    assert "picture from elsewhere: a cat" in page.text


def test_an_attached_picture_is_shown() -> None:
    made = cell("markdown", "![a 그림](attachment:내%20그림.png)", attachments={"내 그림.png": {"image/png": PNG}})
    (image,) = shown(made).all("img")
    assert image == {"src": f"data:image/png;base64,{PNG}", "alt": "a 그림"}


def test_colours_and_overwritten_lines_are_dropped() -> None:
    page = shown(output("stream", name="stdout", text=["\x1b[32m10 %\r", "100 %\x1b[0m\r\n", "done\n"]))
    assert "100 %\ndone" in page.text
    assert "10 %\r" not in page.text
    assert "[32m" not in page.text


def test_an_error_shows_its_traceback() -> None:
    page = shown(output("error", ename="ValueError", evalue="no", traceback=["\x1b[31mTraceback\x1b[0m", "line 2"]))
    assert "Traceback\nline 2" in page.text


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"cells": None},
        {"cells": [None, 3, "x", []]},
        {"cells": [{"cell_type": "code", "source": 3, "outputs": [None, {"output_type": "display_data", "data": 3}]}]},
        {"cells": [{"cell_type": "markdown", "source": ["a", 3], "attachments": {"x": 3}}]},
    ],
)
def test_a_malformed_notebook_can_be_shown(broken: dict[str, Any]) -> None:
    assert Page(str(render_notebook(broken))).balanced


def test_a_page_has_bounds() -> None:
    many = [data(image_png=base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(2**20)).decode()) for _ in range(20)]
    assert len(render_notebook({"cells": many})) < 13 * 2**20
    assert len(render_notebook({"cells": [cell("code", "x" * 10**6)] * 3000})) < 13 * 2**20 + 2000 * 500
