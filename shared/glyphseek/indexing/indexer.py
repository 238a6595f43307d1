"""The job of indexing: a folder of photos becomes a gallery, or a gallery is brought up to date with its folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from glyphseek.errors import SettingError, StoreFull
from glyphseek.indexing.describing import NO_DESCRIPTIONS, Descriptions
from glyphseek.indexing.hints import FileHints
from glyphseek.indexing.ledger import Ledger
from glyphseek.indexing.packing import check_codec
from glyphseek.indexing.passing import FolderPass
from glyphseek.indexing.report import IndexProgress, IndexReport, Outcome
from glyphseek.indexing.settings import IndexSettings
from glyphseek.indexing.tally import Tally
from glyphseek.ports import FeatureStore, Model, VectorStore, codebook_of

HINTS_FILE = "files.json"
"""Name of the hints inside the gallery's folder; it may be deleted at any time."""

_DEFAULTS = IndexSettings()


def _ignore(progress: IndexProgress) -> None:
    """Take progress from a run that nobody watches."""


class Indexer:
    """Brings a gallery in line with a folder. One `run` at a time; nothing else may write to the stores meanwhile.

    What must hold (and does at every moment, whatever kills the process): a row always has its blob; a content is
    encoded once; names in rows are the files that hold that content.
    """

    def __init__(
        self,
        model: Model,
        vectors: VectorStore,
        features: FeatureStore,
        settings: IndexSettings = _DEFAULTS,
        *,
        gallery: Path,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Keep the parts. `gallery` is the folder that hints are kept in and that is not searched for photos.

        clock: seconds of a clock that only goes forward. now_ns: time of day, comparable with that of files.
        """
        self._model = model
        self._vectors = vectors
        self._features = features
        self._settings = settings
        self._gallery = gallery
        self._clock = clock
        self._now_ns = now_ns

    def run(
        self,
        folder: Path,
        *,
        descriptions: Descriptions = NO_DESCRIPTIONS,
        on_progress: Callable[[IndexProgress], None] = _ignore,
    ) -> IndexReport:
        """Index every photo below `folder` whose content the gallery lacks, follow renames, remove what is gone.

        What `descriptions` say of photos becomes their metadata, also of those that the gallery had.
        A photo that cannot be indexed is in the report and never stops the run. Ctrl-C and a full disk end the run
        early, with everything encoded so far committed if that is possible, and the reason in the report.
        `on_progress` is called from the calling thread, after every batch.

        Raises ImageUnreadable when `folder` cannot be listed, SettingError when the gallery was made from another
        folder or the model cannot be stored with the codec, and whatever else the stores raise.
        """
        begun_s = self._clock()
        check_codec(self._settings.codec, codebook_of(self._model))
        hints = FileHints.load(self._gallery / HINTS_FILE)
        ledger = Ledger(self._vectors.scan())
        self._check_folder(folder, hints, ledger)
        tally = Tally()
        work = FolderPass(
            folder=folder,
            gallery=self._gallery,
            model=self._model,
            vectors=self._vectors,
            features=self._features,
            settings=self._settings,
            ledger=ledger,
            hints=hints,
            tally=tally,
            descriptions=descriptions,
            on_progress=on_progress,
            clock=self._clock,
            now_ns=self._now_ns,
        )
        outcome, message = _finish(work)
        hints.save(folder.resolve())
        return tally.report(outcome, message, seconds=self._clock() - begun_s, content_skips=ledger.skips())

    def _check_folder(self, folder: Path, hints: FileHints, ledger: Ledger) -> None:
        before = hints.folder
        if before is None or before == folder.resolve() or self._settings.allow_move or not ledger.records():
            return
        raise SettingError(
            f"the gallery was made from {str(before)!r}; indexing {str(folder)!r} would remove the photos of the other "
            "folder. Use another gallery, or allow the move"
        )


def _finish(work: FolderPass) -> tuple[Outcome, str]:
    try:
        work.find()
        work.index()
        work.tidy()
    except KeyboardInterrupt:
        return Outcome.CANCELLED, "interrupted; run again to go on"
    except StoreFull as error:
        return Outcome.FULL, f"{error}; free some space and run again to go on"
    return Outcome.COMPLETE, ""
