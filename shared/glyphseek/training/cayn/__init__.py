"""Stage `adapter`, the paper's recipe: over a frozen backbone, adapter and head learn from photos and their words."""
