"""HTML of cells is built anew from text and a few tags, so that nothing in it can act or reach the page around it."""

from __future__ import annotations

import re

import pytest

from grader.sandbox.protocol.markup import sanitise_html
from tests.support.html_pages import Page

# As pandas writes it.
TABLE = """<div>
<style scoped>
    .dataframe tbody tr th { vertical-align: top; }
</style>
<table border="1" class="dataframe">
  <thead><tr style="text-align: right;"><th></th><th colspan="2">a &amp; b</th></tr></thead>
  <tbody><tr><th>0</th><td>&lt;1&gt;</td><td>2</td></tr></tbody>
</table></div>"""


def test_a_table_of_pandas_keeps_its_form_and_its_text() -> None:
    page = Page(sanitise_html(TABLE))
    assert page.balanced
    assert re.sub(r"\s", "", page.text) == "a&b0<1>2"
    assert page.all("th") == [{}, {"colspan": "2"}, {}]
    assert page.all("table") == [{}]


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>x()</script>",
        "<SCRIPT >x()",
        "<img src=x onerror=x()>",
        "<svg onload=x()><script>x()</script></svg>",
        "<svg><style><img src=x onerror=x()></style></svg>",
        "<a href='javascript:x()'>link</a>",
        "<form action='https://a.example'><input name=password><button>send</button></form>",
        "<div style='position: fixed; inset: 0; background: white'>over the page</div>",
        "<style>* { display: none }</style>",
        "<link rel=stylesheet href=//a.example><meta http-equiv=refresh content='0; url=//a'><base href=//a.example>",
        "<iframe srcdoc='<script>x()</script>'></iframe>",
        "<math><mtext><table><mglyph><style><img src onerror=x()>",
        "<noscript><p title='</noscript><img src=x onerror=x()>'>",
        "<template><script>x()</script></template>",
        "<textarea></textarea><script>x()</script>",
        "</div></td></tr></table></pre></figure><h1>outside",
        "<td>a cell of the page</td><tr><li>an item of the page",
        "<table><td></table></div><td>",
        "<!--><script>x()</script>-->",
        "<![CDATA[<script>x()</script>]]>",
        "<p title='<script>x()</script>'>",
        "<b<script>x()</script>>",
        "<td colspan='1 onclick=x()'>",
        "&lt;script&gt;x()&lt;/script&gt;",
        "<p>" * 1_000,
    ],
)
def test_what_could_act_is_dropped_or_text(hostile: str) -> None:
    made = sanitise_html(hostile)
    page = Page(made)
    assert page.balanced
    kept = {"table", "tr", "td", "b", "p", "div", "h1"}
    assert {tag for tag, _ in page.elements} <= kept
    assert all(attributes == {} for _, attributes in page.elements)
    assert sanitise_html(made) == made
    if "<table" not in hostile:
        assert not page.all("td")


@pytest.mark.timeout(60)  # a quadratic walk over a million characters takes many minutes
@pytest.mark.parametrize("part", ["<", "<td>", "<table><td>", "<!--", "<script>", '<a "', "<b a><p>", "&lt;", "<b x=<"])
def test_endless_markup_is_read_once(part: str) -> None:
    made = sanitise_html(part * (1_000_000 // len(part)))
    assert len(made) <= 5_000_000


def test_html_without_text_is_nothing() -> None:
    assert sanitise_html("<table><tr><td> </td></tr></table><img src=x>") == ""
    assert sanitise_html("") == ""
