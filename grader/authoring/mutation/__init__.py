"""Change a right definition at one place, and see what the rubric makes of it."""
