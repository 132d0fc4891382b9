"""What helps students who check their own work: hints after each save, and `%grader` in a notebook."""
