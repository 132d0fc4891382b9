"""What follows a student's training loop while it runs."""
