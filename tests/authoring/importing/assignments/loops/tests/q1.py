OK_FORMAT = True

test = {
    "name": "q1",
    "points": 2,
    "suites": [
        {
            "cases": [
                {"code": ">>> total([1, 2, 3])\n6\n>>> total([])\n0", "hidden": False, "locked": False},
                {"code": ">>> total([0.1] * 3)\n0.30000000000000004", "hidden": False, "locked": False},
                {"code": ">>> total([-1])\n-1", "hidden": True, "locked": False},
            ],
            "scored": True,
            "setup": "",
            "teardown": "",
            "type": "doctest",
        }
    ],
}
