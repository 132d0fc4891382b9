"""An automated grader for deep-learning notebooks: what the student wrote is run where no answer can be found."""
