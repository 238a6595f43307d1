"""Blobs to opened features, fetched on demand: kept in a cache bounded in bytes, each read once, faults counted."""

from glyphseek.fetching.cache import CacheStats, LoadError, SingleFlightCache
from glyphseek.fetching.faults import list_faults, name_fault
from glyphseek.fetching.reader import BlobReader, Fetched

__all__ = ["BlobReader", "CacheStats", "Fetched", "LoadError", "SingleFlightCache", "list_faults", "name_fault"]
