"""Training: stages (what is learned from which data), the loop that runs one, and its run folder."""
