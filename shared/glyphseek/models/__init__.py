"""The methods, one folder each, and how a model on disk becomes one in memory."""
