"""The jobs of indexing: photos into a gallery, and the upkeep of that gallery, over ports only."""

from glyphseek.indexing.arrivals import Arrival, Intaken
from glyphseek.indexing.bulk import IngestProgress, IngestReport, IngestRequest
from glyphseek.indexing.describing import NO_DESCRIPTIONS, Descriptions
from glyphseek.indexing.encoding import ImageEncoder, ImageEncoding, StoredImage
from glyphseek.indexing.indexer import HINTS_FILE, Indexer
from glyphseek.indexing.intake import Intake, IntakeItem, IntakeResult, Removal, photo_key
from glyphseek.indexing.maintenance import (
    DeleteReport,
    Problem,
    VerifyReport,
    collect_garbage,
    collect_photos,
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
    "NO_DESCRIPTIONS",
    "Arrival",
    "DeleteReport",
    "Descriptions",
    "EncodedFile",
    "EncodingSettings",
    "ImageEncoder",
    "ImageEncoding",
    "IndexProgress",
    "IndexReport",
    "IndexSettings",
    "Indexer",
    "IngestProgress",
    "IngestReport",
    "IngestRequest",
    "Intake",
    "IntakeItem",
    "IntakeResult",
    "Intaken",
    "OpenedPhoto",
    "Outcome",
    "Problem",
    "Removal",
    "Skip",
    "Stage",
    "StoredImage",
    "VerifyReport",
    "collect_garbage",
    "collect_photos",
    "delete_images",
    "export_records",
    "hash_content",
    "id_of",
    "open_photo",
    "photo_key",
    "vectors_of",
    "verify",
]
