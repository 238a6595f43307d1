"""From a query to ranked images: encode, recall by vectors, then match or rerank exactly."""

from glyphseek.search.result import Degradation, Hit, SearchResult, Timings
from glyphseek.search.searcher import Searcher
from glyphseek.search.settings import SearchSettings
from glyphseek.search.stages import MatchStage, RerankStage

__all__ = [
    "Degradation",
    "Hit",
    "MatchStage",
    "RerankStage",
    "SearchResult",
    "SearchSettings",
    "Searcher",
    "Timings",
]
