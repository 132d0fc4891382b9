"""Written answers: the student's own words about each section, found in the notebook and told apart from the book's."""
