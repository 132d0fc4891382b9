"""Reports for pages, harmless and hostile, and what a page has in it when it is parsed."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from grader.results.notice import Notice
from grader.results.report import CellResult, File, ItemResult, Report, Verdict
from grader.sandbox.protocol.layers import LayerStatus

__all__ = [
    "EVIDENCE", "FULL", "HOSTILE", "LAYERS", "MARK", "MATRIX", "SMALL", "TRAINING", "WRONG", "Page", "hostile",
    "hostile_report", "item", "report_of",
]  # fmt: skip

MATRIX = {"shape": [2, 2], "dtype": "float32", "values": [[19.0, 25.0], [37.0, 43.0]]}
WRONG = {"shape": [2, 2], "dtype": "float32", "values": [[5.0, 25.0], [37.0, 43.0]]}
SMALL = {"case": "the smallest input that goes wrong", "expected": MATRIX, "found": {"shape": [1], "values": [1.0]}}
LAYERS = [
    {"layer": "convolution", "expected": [64, 112, 112], "found": [64, 112, 112]},
    {"layer": "pooling", "expected": [64, 56, 56], "found": [64, 112, 112]},
    {"layer": "linear", "expected": [10], "found": None},
]
EVIDENCE = {"case": "the book's example", "inputs": {"X": MATRIX}, "expected": MATRIX, "found": WRONG}
HOSTILE = "</td><script>alert(1)</script>'\"><img src=//evil onerror=x>{{ 7*7 }}\x1b[31m\u202e\x00\ud800"
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would see: the elements, their attributes, the text; and whether elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.balanced = "", True
        self.feed(text)
        self.balanced = self.balanced and not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.balanced = self.balanced and bool(self.open) and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def item(verdict: Verdict, points: float = 0, section: str = "7.2.1", **others: Any) -> ItemResult:
    return ItemResult("corr2d.values", section, "Cross-correlation", points, 6, verdict, "a message", **others)


def report_of(*items: ItemResult, **others: Any) -> Report:
    return Report("hw2", "과제 2", "revision", (File("과제 (최종) [1].ipynb", "0" * 64),), items, **others)


FULL = report_of(
    item(Verdict.PASSED, 6),
    item(Verdict.FAILED, file="hw2.ipynb", cell=12, evidence={**EVIDENCE, "smallest": SMALL, "stages": LAYERS}),
    item(Verdict.PENDING, section="7.6.2"),
    cells=(CellResult("hw2.ipynb", 1, "ok"), CellResult("hw2.ipynb", 2, "raised", "ValueError: no")),
    layers=(LayerStatus("seccomp", True), LayerStatus("cgroup", False, "not delegated")),
    limits_hit=("cell 3 ran past 60 s",),
    notices=(Notice("an install was not run"),),
)


MARK = "a-script-was-here"
TRAINING = {
    "recipe": "1 epoch of 20,000 images, " * 5,
    "threshold": 0.6,
    "runs": [
        {
            "seed": seed,
            "accuracy": 0.5 + seed / 10,
            "epochs": [0.25, 0.5, 0.75, 1.0],
            "loss": [2.3, "nan", 1.0, 0.8 - seed / 10],
            "accuracy_by_epoch": [0.1, 0.3, 0.4, 0.5 + seed / 10],
        }
        for seed in range(3)
    ],
    "own": [{"file": "hw2.ipynb", "cell": 3, "findings": [{"text": "too high a rate " * 20}], "losses": [1, 2, 4]}],
}


def hostile(address: str) -> str:
    """Return text that runs a script or asks the address, wherever it is put into a page unescaped."""
    script = f"document.documentElement.setAttribute('{MARK}', 1); new Image().src = '{address}/script'"
    return (
        f"\u202e</td></pre></style></title><script>{script}</script>"
        f'"><img src="{address}/image" onerror="{script}">'
        f'\'><svg/onload="{script}"><iframe src="{address}/frame"></iframe>'
        f'<link rel=stylesheet href="{address}/style"><a href="javascript:{script}">x</a>'
        f"<meta http-equiv=refresh content='0;url={address}/refresh'>"
        f'<body onload="{script}"><details open ontoggle="{script}">'
        f"{{{{ 7 * 7 }}}} {{% raw %}} --> ]]> \x1b[31mred\x1b[0m \x00\x07\r\n\u2028\ud800 &lt;script&gt;"
    )


def hostile_report(text: str) -> Report:
    matrix: dict[str, Any] = {"shape": [1, 1], "dtype": text, "values": [[text]]}
    case: dict[str, Any] = {
        "case": text,
        "inputs": {text: matrix, "X": text},
        "expected": matrix,
        "found": text,
        text: text,
    }
    layers = [{"layer": text, "expected": [text, 1, 1], "found": text}]
    training = {
        **dict.fromkeys(("mode", "recipe", "threshold", "evidence"), text),
        "runs": [{"seed": text, "accuracy": 0.5, "epochs": [1, text, 2], "loss": [1, text, text]}],
        "own": [{"file": text, "cell": text, "optimizer": text, "findings": [{"text": text}], "losses": [1, text, 2]}],
    }
    evidence = {**case, "smallest": {**case, "found": matrix}, "stages": layers, "training": training}
    items = tuple(
        ItemResult(text, text, text, points, 3, verdict, text, text, 1, evidence)
        for verdict, points in ((Verdict.PASSED, 3.0), *((other, 0.0) for other in Verdict if other != "passed"))
    )
    return Report(
        assignment=text,
        title=text,
        revision=text,
        files=(File(text, text),),
        items=items,
        cells=(CellResult(text, 1, text, text),),
        layers=(LayerStatus(text, True, text), LayerStatus(text, False, text)),
        limits_hit=(text,),
        notices=(Notice(text),),
        timing={text: text},
    )
