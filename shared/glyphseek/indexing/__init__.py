"""The job of indexing: a folder of photos into a gallery, and the upkeep of that gallery, over ports only."""

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
from glyphseek.indexing.report import IndexProgress, IndexReport, Outcome, Skip, Stage
from glyphseek.indexing.settings import IndexSettings
from glyphseek.indexing.writing import vectors_of

__all__ = [
    "HINTS_FILE",
    "DeleteReport",
    "IndexProgress",
    "IndexReport",
    "IndexSettings",
    "Indexer",
    "Outcome",
    "Problem",
    "Skip",
    "Stage",
    "VerifyReport",
    "collect_garbage",
    "delete_images",
    "export_records",
    "vectors_of",
    "verify",
]
