"""d2l's boards are drawn once, when the cell ends, and show the lines that they would have shown."""

from __future__ import annotations

from tests.support.sandbox_runs import Run

COUNTING = """
%matplotlib inline
from d2l import torch as d2l
from matplotlib import pyplot as plt
shown = []
publisher = get_ipython().display_pub
publish = publisher.publish
def counted(data, *arguments, **options):
    shown.append(sorted(data))
    return publish(data, *arguments, **options)
publisher.publish = counted
"""
TRAINING = """
data = d2l.SyntheticRegressionData(w=torch.tensor([2.0, -3.4]), b=4.2)
model = d2l.LinearRegression(lr=0.03)
trainer = d2l.Trainer(max_epochs=3)
trainer.fit(model, data)
assert model.board.fig is None and shown == []
"""


def statuses_and_messages(run: Run, *cells: str) -> list[tuple[str, str]]:
    made = run(*cells)
    return list(zip(made.statuses(), made.messages(), strict=True))


def test_a_training_is_drawn_once_when_its_cell_ends(run: Run) -> None:
    look = """
    pictures = [kinds for kinds in shown if any(kind.startswith('image/') for kind in kinds)]
    assert len(pictures) == 1, shown
    axes = model.board.fig.axes[0]
    lines = {name: [tuple(point) for point in line] for name, line in model.board.data.items()}
    assert list(lines) == ['train_loss', 'val_loss'] and [len(line) for line in lines.values()] == [6, 3]
    drawn = [[tuple(point) for point in line.get_xydata()] for line in axes.lines]
    assert drawn == [[(x, float(y)) for x, y in line] for line in lines.values()], (drawn, lines)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(lines)
    assert (axes.get_xlabel(), axes.get_xlim()) == ('epoch', (0.0, 3.0))
    """
    again = "assert len([kinds for kinds in shown if 'image/png' in kinds or 'image/svg+xml' in kinds]) == 1, shown"
    cells = (COUNTING + "import torch", TRAINING, look, "1 + 1", again)
    assert statuses_and_messages(run, *cells) == [("ok", "")] * 5


def test_points_not_yet_averaged_are_neither_drawn_nor_lost(run: Run) -> None:
    draw = "board = d2l.ProgressBoard('x')\nfor n in range(5): board.draw(n, n ** 2, 'square', every_n=2)"
    more = "board.draw(5, 25, 'square', every_n=2)"
    look = """
    assert [tuple(point) for point in board.data['square']] == [(0.5, 0.5), (2.5, 6.5), (4.5, 20.5)], board.data
    assert board.raw_points['square'] == []
    """
    gathering = "assert [tuple(point) for point in board.raw_points['square']] == [(4, 16)]\n"
    assert statuses_and_messages(run, COUNTING, draw, gathering + more, look) == [("ok", "")] * 4


def test_a_board_with_display_off_is_not_shown(run: Run) -> None:
    draw = "board = d2l.ProgressBoard('x', display=False)\nfor n in range(5): board.draw(n, n, 'line')"
    look = "assert shown == [] and board.fig is None and len(board.data['line']) == 5"
    assert statuses_and_messages(run, COUNTING, draw, look) == [("ok", "")] * 3


def test_what_a_cell_drew_before_it_raised_is_shown(run: Run) -> None:
    draw = "board = d2l.ProgressBoard('x')\nboard.draw(1, 2, 'line')\nboard.draw(2, 3, 'line')\nraise ValueError('no')"
    look = "assert board.fig is not None and len(board.fig.axes[0].lines) == 1"
    raised = ("raised", "stopped at line 4: ValueError: no")
    assert statuses_and_messages(run, COUNTING, draw, look) == [("ok", ""), raised, ("ok", "")]


def test_a_student_s_own_drawing_is_left_alone(run: Run) -> None:
    own = """
    drawn = []
    @d2l.add_to_class(d2l.ProgressBoard)
    def draw(self, x, y, label, every_n=1):
        drawn.append(x)
    d2l.ProgressBoard('x').draw(1, 2, 'line')
    assert drawn == [1]
    """
    assert statuses_and_messages(run, COUNTING, own) == [("ok", "")] * 2
