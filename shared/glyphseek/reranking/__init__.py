"""The second stage: token maps of the best images, fetched on demand and scored against the query."""
