from otter.test_files import test_case

OK_FORMAT = False

name = "q3"
points = 3

EXPECTED = {1: 0, 6: 8, 7: 16}


def check(found, wanted):
    assert found == wanted, f"{found} steps, and {wanted} are right"


@test_case(points=1)
def test_that_one_needs_no_step(steps):
    check(steps(1), EXPECTED[1])


@test_case()
def test_small_numbers(env):
    for n, wanted in EXPECTED.items():
        check(env["steps"](n), wanted)


@test_case(hidden=True)
def test_a_large_number(steps):
    assert steps(27) == 111
