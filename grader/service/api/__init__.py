"""The HTTP API: what a class hands in, how it is going, and what came out. Nothing is graded here."""
