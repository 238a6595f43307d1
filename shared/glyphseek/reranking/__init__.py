"""The second stage: token maps of the best images, fetched on demand and scored against the query."""

from glyphseek.reranking.cache import CacheStats
from glyphseek.reranking.faults import list_faults, name_fault
from glyphseek.reranking.reranker import Reranker
from glyphseek.reranking.result import Reranking
from glyphseek.reranking.settings import RerankerSettings

__all__ = ["CacheStats", "Reranker", "RerankerSettings", "Reranking", "list_faults", "name_fault"]
