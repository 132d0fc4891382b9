"""A function, and a model that is trained."""

from grader.testing import Student, Training, item, learn


@item("learns")
def test_the_model_learns(student: Student, training: Training) -> None:
    learn(training, student.Model, [()], "Model()", (1, 28, 28))


@item("double")
def test_double_gives_twice_its_number(student: Student) -> None:
    assert student.double(21) == 42
