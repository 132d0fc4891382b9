"""What runs in the student's process. All that it says is a claim."""
