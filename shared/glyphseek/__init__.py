"""Glyphseek: search a gallery of photos by the words written in them, without OCR."""

__version__ = "0.1.0"
