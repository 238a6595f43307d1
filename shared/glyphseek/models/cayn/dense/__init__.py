"""A small CLIP that reads everywhere in one pass over an image pyramid, and a character-level text tower."""
