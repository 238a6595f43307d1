"""Photos with ground truth: rendered scenes, and loaders of public sets."""
