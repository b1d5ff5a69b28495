"""Pictures, tables of scores and the HTML report."""
