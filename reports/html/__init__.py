"""HTML pages of one run, and what all pages share."""
