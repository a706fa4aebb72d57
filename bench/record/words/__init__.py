"""Words that the terminal and the reports share: counted nouns, reasons that differ in figures alone."""
