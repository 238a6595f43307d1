"""Photos on disk: finding them, naming them, and opening them as a person sees them."""

from glyphseek.images.files import FileContent, FileStamp, ImageLimits, read_file
from glyphseek.images.formats import has_image_suffix, is_image_file, sniff_format
from glyphseek.images.names import name_of, path_of
from glyphseek.images.reading import Photo, decode_image, read_image
from glyphseek.images.walking import FoundFile, Unreachable, find_files

__all__ = [
    "FileContent",
    "FileStamp",
    "FoundFile",
    "ImageLimits",
    "Photo",
    "Unreachable",
    "decode_image",
    "find_files",
    "has_image_suffix",
    "is_image_file",
    "name_of",
    "path_of",
    "read_file",
    "read_image",
    "sniff_format",
]
