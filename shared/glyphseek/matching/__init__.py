"""The second stage of words with boxes: instances of images, fetched on demand and matched exactly with the query."""

from glyphseek.matching.bar import Bar
from glyphseek.matching.matcher import Matcher
from glyphseek.matching.result import MatchCandidate, MatchedImage, Matching
from glyphseek.matching.settings import MatcherSettings

__all__ = ["Bar", "MatchCandidate", "MatchedImage", "Matcher", "MatcherSettings", "Matching"]
