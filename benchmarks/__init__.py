"""What is timed, and how to time it again: `make bench`."""
