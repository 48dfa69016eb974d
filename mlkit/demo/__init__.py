"""``mlkit demo``: one year of real flights through the whole loop, with its table and its report."""
