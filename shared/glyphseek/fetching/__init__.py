"""Blobs to opened features, fetched on demand: kept in a cache bounded in bytes, each read once, faults counted."""

from glyphseek.fetching.cache import CacheStats, LoadError, SingleFlightCache
from glyphseek.fetching.faults import count_faults, list_faults
from glyphseek.fetching.reader import FETCH_SHARE, SETTLING_S, BlobReader, Fetched

__all__ = [
    "FETCH_SHARE",
    "SETTLING_S",
    "BlobReader",
    "CacheStats",
    "Fetched",
    "LoadError",
    "SingleFlightCache",
    "count_faults",
    "list_faults",
]
