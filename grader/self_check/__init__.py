"""Self-checks for students: hints after each save, and `%grader` in a notebook."""
