"""From a query to ranked images: encode, recall by vectors, fetch blobs, match exactly."""

from glyphseek.search.result import Degradation, Hit, SearchResult, Timings
from glyphseek.search.searcher import Searcher
from glyphseek.search.settings import SearchSettings

__all__ = ["Degradation", "Hit", "SearchResult", "SearchSettings", "Searcher", "Timings"]
