"""The sandbox: a warm, locked-down process tree for one submission, and the trusted end of it."""
