"""A small CLIP whose tokens are words: a trunk that finds words and reads each, and its character-level text tower."""
