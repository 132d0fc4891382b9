"""What is trained, and on what: data sets, and the trainings that we run ourselves."""
