"""``mlkit demo``: a year of real flights through the whole loop, told in a table and a page."""
