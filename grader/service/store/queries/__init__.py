"""What is read from and written to the database, a module for each kind of thing."""
