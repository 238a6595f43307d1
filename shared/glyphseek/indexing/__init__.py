"""The jobs of indexing: photos into a gallery, and the upkeep of that gallery, over ports only."""

from glyphseek.indexing.encoding import ImageEncoder, ImageEncoding, StoredImage
from glyphseek.indexing.indexer import HINTS_FILE, Indexer
from glyphseek.indexing.maintenance import (
    DeleteReport,
    Problem,
    VerifyReport,
    collect_garbage,
    delete_images,
    export_records,
    verify,
)
from glyphseek.indexing.opening import EncodedFile, OpenedPhoto, hash_content, id_of, open_photo
from glyphseek.indexing.packing import vectors_of
from glyphseek.indexing.report import IndexProgress, IndexReport, Outcome, Skip, Stage
from glyphseek.indexing.settings import EncodingSettings, IndexSettings

__all__ = [
    "HINTS_FILE",
    "DeleteReport",
    "EncodedFile",
    "EncodingSettings",
    "ImageEncoder",
    "ImageEncoding",
    "IndexProgress",
    "IndexReport",
    "IndexSettings",
    "Indexer",
    "OpenedPhoto",
    "Outcome",
    "Problem",
    "Skip",
    "Stage",
    "StoredImage",
    "VerifyReport",
    "collect_garbage",
    "delete_images",
    "export_records",
    "hash_content",
    "id_of",
    "open_photo",
    "vectors_of",
    "verify",
]
