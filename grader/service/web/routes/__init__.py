"""The routes of the pages, a module for each page and what is posted from it."""
