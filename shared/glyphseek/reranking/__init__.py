"""The second stage of token maps: those of the best images, fetched on demand and scored against the query."""

from glyphseek.reranking.reranker import Reranker
from glyphseek.reranking.result import Reranking
from glyphseek.reranking.settings import RerankerSettings

__all__ = ["Reranker", "RerankerSettings", "Reranking"]
