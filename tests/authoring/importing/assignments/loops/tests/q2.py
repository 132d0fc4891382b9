OK_FORMAT = True

test = {
    "name": "q2",
    "points": None,
    "all_or_nothing": False,
    "suites": [
        {
            "cases": [
                {"code": ">>> squares[:4]\n[0, 1, 4, 9]\n>>> len(squares) == 10\nTrue", "hidden": False, "points": 1},
                {
                    "code": """
                    >>> numbers = [3, 4]
                    >>> result = root_mean_square(numbers)
                    >>> for number in numbers:
                    ...     print(number)
                    3
                    4
                    >>> math.isclose(result, math.sqrt(12.5))
                    True
                    """,
                    "hidden": False,
                    "points": 2,
                },
                {
                    "code": """
                    >>> root_mean_square([])
                    Traceback (most recent call last):
                        ...
                    ValueError: no numbers
                    """,
                    "hidden": False,
                    "points": 0.5,
                },
                {"code": ">>> root_mean_square([2, -2])\n2.0", "hidden": True, "points": 1},
            ],
            "type": "doctest",
        }
    ],
}
