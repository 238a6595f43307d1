"""Rendered photos of words with their ground truth: training data, and test galleries of any size."""
