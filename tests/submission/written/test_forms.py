"""A student's words are found in the forms in which people write them, in four languages."""

from __future__ import annotations

import nbformat
import pytest

from grader.assignment import Assignment
from grader.submission.submission import Submission, read_notebook
from grader.submission.written.answers import add_written_answers

# Each case: its name, its cells (code begins with %, raw text with &), and a word of the text that belongs to each
# section. All other sections have none.
FORMS: list[tuple[str, list[str], dict[str, str]]] = [
    (
        "a chapter at the end with a heading for each section",
        ["## 7.1 A", "%a = 1", "## 7.2 B", "%b = 2", "## Notes & Exercises", "### 7.1 Notes\napples", "### 7.2\npears"],
        {"7.1": "apples", "7.2": "pears"},
    ),
    (
        "a chapter at the end whose headings are the titles alone",
        ["# 7.2 Convolutions", "%a = 1", "# 7.5 Pooling", "%b = 2", "# My notes", "## Pooling\napples"],
        {"7.5": "apples"},
    ),
    (
        "a chapter at the end with bold lines",
        ["# 7. CNN", "%a = 1", "# Takeaways", "**7.3 Padding and Stride**\n\napples\n\n**7.4 Channels**\n\npears"],
        {"7.3": "apples", "7.4": "pears"},
    ),
    (
        "a list at the end, an item for each section",
        ["# HW2", "%a = 1", "# Discussion\n\n- 7.2: apples\n- 7.3: pears\n- 7.5 Pooling: plums"],
        {"7.2": "apples", "7.3": "pears", "7.5": "plums"},
    ),
    (
        "plain paragraphs",
        [
            "7.1. From Fully Connected Layers to Convolutions\n\napples",
            "7.2 Convolutions for Images",
            "%a = 1",
            "pears",
        ],
        {"7.1": "apples", "7.2": "pears"},
    ),
    (
        "plain paragraphs that begin with their section",
        ["7.2 Convolutions for Images: apples are found by kernels.", "7.6.1 LeNet needs pears to see."],
        {"7.2": "apples", "7.6": "pears"},
    ),
    ("a title on a plain line", ["Pooling", "%a = 1", "Takeaway: apples"], {"7.5": "apples"}),
    ("bold titles", ["**Padding and Stride**", "%a = 1", "**Summary**\n\napples"], {"7.3": "apples"}),
    ("a bold label", ["# 7.2", "%a = 1", "**Discussion:** apples"], {"7.2": "apples"}),
    (
        "all headings on one level",
        [
            "# Pooling",
            "# Padding and Stride",
            "%a = 1",
            "# Multiple Channels",
            "# Summary\napples",
            "# Exercises\npears",
        ],
        {"7.5": "apples"},
    ),
    (
        "all headings on one level, with parts of one title",
        ["# LeNet", "# Training", "# Summary\napples", "# Networks Using Blocks (VGG)", "# Training", "# Notes\npears"],
        {"7.6": "apples", "8.2": "pears"},
    ),
    ("HTML headings", ["<h2><b>7.2 Convolutions</b></h2>", "<h3>My answer</h3>\n\napples"], {"7.2": "apples"}),
    ("HTML that is bold", ["<b>7.2 Convolutions</b>", "<font size=5>Discussion</font>\n\napples"], {"7.2": "apples"}),
    ("underlined headings", ["7.2 Convolutions\n======", "Takeaways\n---\napples"], {"7.2": "apples"}),
    (
        "numbered lists as headings",
        ["1. 7.1 Discussion\n\napples", "2. 7.2 Discussion\n\npears"],
        {"7.1": "apples", "7.2": "pears"},
    ),
    ("emoji", ["## 📌 7.2 Convolutions", "### ✍️ What I learned 🎉\napples"], {"7.2": "apples"}),
    (
        "the number last",
        ["# HW", "## Discussion 7.2\napples", "## Takeaways of section 7.5\npears"],
        {"7.2": "apples", "7.5": "pears"},
    ),
    ("a dash", ["# HW", "## 7.2 - takeaway\napples", "## 7.3 – memo\npears"], {"7.2": "apples", "7.3": "pears"}),
    (
        "an abbreviation",
        ["## Sec 7.2\napples", "## §7.3\npears", "## Ch. 7.4 notes\nplums"],
        {"7.2": "apples", "7.3": "pears", "7.4": "plums"},
    ),
    (
        "other marks in the number",
        ["## 7-2 Discussion\napples", "## 7.3 Discussion\npears"],
        {"7.2": "apples", "7.3": "pears"},
    ),
    (
        "several sections in one heading",
        ["## 7.2 & 7.3 Discussion\napples", "## 7.4-7.6 Summary\npears"],
        {"7.2": "apples", "7.3": "apples", "7.4": "pears", "7.5": "pears", "7.6": "pears"},
    ),
    (
        "a section named in words",
        ["# HW", "## What I learned about pooling\napples", "## Thoughts on VGG\npears"],
        {"7.5": "apples", "8.2": "pears"},
    ),
    (
        "an older edition's numbers",
        ["# 6.5 Pooling", "## Summary\napples", "# 7.2 Networks Using Blocks (VGG)", "## Summary\npears"],
        {"7.5": "apples", "8.2": "pears"},
    ),
    ("Q and A", ["# 7.2", "### Q&A\n\nQ1. Why?\n\nA. apples"], {"7.2": "apples"}),
    ("a code cell of comments", ["# 7.2", "%# A: apples are what the kernel finds here"], {"7.2": "apples"}),
    ("a code cell of comments in Korean", ["# 7.2", "%# 합성곱은 작은 창으로 이미지를 훑는다"], {"7.2": "합성곱"}),
    ("a string", ["# 7.5", "## Takeaways", '%"""apples: pooling forgets where things are"""'], {"7.5": "apples"}),
    ("code as an answer", ["# 7.5", "## Exercises", "%print(nn.AvgPool2d(2))  # apples"], {"7.5": "apples"}),
    (
        "an experiment with what was defined before",
        ["# 7.2", "%def corr2d(X, K):\n    return X", "## Exercises", "%def corr2d(X, K):\n    return apples"],
        {"7.2": "apples"},
    ),
    ("a raw cell", ["# 7.2", "## Discussion", "&apples"], {"7.2": "apples"}),
    ("a formula", ["# 7.3", "## Exercises", "$$\\frac{n - k + p + s}{s}$$"], {"7.3": "frac"}),
    ("a table", ["# 7.5", "## Observations", "| mode | result |\n| --- | --- |\n| max | apples |"], {"7.5": "apples"}),
    ("a picture", ["# 7.5", "## Discussion", "![](attachment:plot.png)"], {"7.5": "plot.png"}),
    (
        "Korean",
        ["# 7.2 이미지를 위한 합성곱", "## 배운 점\n사과", "# 7.5 풀링", "## 요약 및 정리\n포도"],
        {"7.2": "사과", "7.5": "포도"},
    ),
    ("Korean numbers", ["## 7장 2절\n사과", "## 제7장 3절 느낀 점\n포도"], {"7.2": "사과", "7.3": "포도"}),
    ("Korean titles", ["# 풀링", "%a = 1", "## 나의 생각\n사과"], {"7.5": "사과"}),
    ("Korean memo", ["# 7.4", "## 메모\n사과", "# 7.6", "**답안**\n\n포도"], {"7.4": "사과", "7.6": "포도"}),
    (
        "simplified Chinese",
        ["# 7.2 图像卷积", "## 小结\n苹果", "# 7.5 汇聚层", "## 练习解答\n梨"],
        {"7.2": "苹果", "7.5": "梨"},
    ),
    (
        "traditional Chinese",
        ["# 圖像卷積", "## 討論\n蘋果", "# 匯聚層", "## 心得體會\n梨"],
        {"7.2": "蘋果", "7.5": "梨"},
    ),
    ("Chinese numbers", ["## 第7.2节\n苹果", "## 第7章第3节 总结\n梨"], {"7.2": "苹果", "7.3": "梨"}),
    (
        "Japanese",
        ["# 7.2 画像の畳み込み", "## まとめ\nりんご", "# プーリング", "## 考察\nなし"],
        {"7.2": "りんご", "7.5": "なし"},
    ),
    ("Japanese exercises", ["# 7.3 パディングとストライド", "## 演習問題の解答\nりんご"], {"7.3": "りんご"}),
    # Words about something else fill no place.
    (
        "a section that the rubric does not have",
        ["# Deep Convolutional Neural Networks (AlexNet)", "## Summary\napples"],
        {},
    ),
    (
        "another section by its number",
        ["# 8.1 AlexNet", "## Exercises\napples", "# 6.2 Parameters", "## Notes\npears"],
        {},
    ),
    ("another section on a plain line", ["7.6 LeNet\n\napples", "8.1. AlexNet\n\nplums"], {"7.6": "apples"}),
    ("another section in bold", ["**7.6 LeNet**\n\napples", "**Batch Normalization**\n\nplums"], {"7.6": "apples"}),
    ("another section in Chinese", ["# 批量规范化", "## 小结\n苹果"], {}),
    ("another chapter", ["# Softmax Regression from Scratch", "## Discussion\napples"], {}),
    (
        "a table of contents",
        ["# HW2\n\n- [7.1 From Fully Connected Layers to Convolutions](#a)\n- [7.2 Convolutions for Images](#b)"],
        {},
    ),
    (
        "headings without a word below",
        ["# 7.2 Convolutions", "## Discussion", "# 7.3 Padding and Stride", "%a = 1"],
        {},
    ),
    ("judged code below such a heading", ["# 7.2", "## Discussion", "%def corr2d(X, K):\n    return X"], {}),
    ("what the template says", ["# 7.2", "## Discussion", "*YOUR ANSWER HERE*"], {}),
    ("code that was commented out", ["# 7.2", "%# !pip install d2l\n# x = torch.ones(3)\n# print(x)"], {}),
    (
        "sections that are layers",
        ["# 7.6 LeNet", "## Discussion\n- Pooling: apples\n- **Padding**: pears\n\n**Pooling**\n\ncherries"],
        {"7.6": "apples"},
    ),
    (
        "numbers that are results",
        ["# 7.6", "## Discussion\n7.2 % better than apples.\n\n8.2 is the loss."],
        {"7.6": "apples"},
    ),
]


@pytest.mark.parametrize(("cells", "words"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_each_form_is_found_in_its_section(hw2: Assignment, cells: list[str], words: dict[str, str]) -> None:
    made = {"%": nbformat.v4.new_code_cell, "&": nbformat.v4.new_raw_cell}
    stored = [made[cell[0]](cell[1:]) if cell[0] in made else nbformat.v4.new_markdown_cell(cell) for cell in cells]
    notebook = read_notebook("a.ipynb", nbformat.writes(nbformat.v4.new_notebook(cells=stored)).encode())
    results = {result.section: result for result in add_written_answers([], Submission((notebook,)), hw2)}
    found = {section: result.evidence["text"] for section, result in results.items() if result.evidence["text"]}
    assert sorted(found) == sorted(words)
    assert not any("plums" in text for text in found.values() if "plums" not in words.values())
    for section, word in words.items():
        assert word in found[section]
        others = set(words.values()) - {word}
        assert not any(other in found[section] for other in others)
