"""The OCR route, as a method to compare with: read every word first, then compare spellings."""

from glyphseek.models.ocr.cache import ReadingCache, Readings, read_all
from glyphseek.models.ocr.reader import OcrLine, OcrReader
from glyphseek.models.ocr.similarity import Similarity, score_readings

__all__ = ["OcrLine", "OcrReader", "ReadingCache", "Readings", "Similarity", "read_all", "score_readings"]
