"""A small CLIP that reads: an image tower over an image pyramid, and a character-level text tower."""
