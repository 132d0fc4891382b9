"""The training hooks: what follows a student's training loop while it runs."""
