"""The table of scores, the pictures and the HTML report."""
