"""Image features as bytes: one self-checking blob per image, one codec per file, one header."""

from glyphseek.tokens.blob import inspect, pack, unpack
from glyphseek.tokens.codecs import CodecName
from glyphseek.tokens.header import BlobHeader

__all__ = ["BlobHeader", "CodecName", "inspect", "pack", "unpack"]
