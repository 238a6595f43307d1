"""One pass over a folder: find the files, index those of new content, tidy up. Each step may be the last."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from glyphseek.images import FoundFile, Unreachable, find_files, has_image_suffix, is_image_file
from glyphseek.indexing.batches import BatchEncoder, EncodedBatch, calls_at_once
from glyphseek.indexing.describing import Descriptions
from glyphseek.indexing.hints import FileHints
from glyphseek.indexing.ledger import Ledger
from glyphseek.indexing.loading import Loaded, Loader, PreparedImage
from glyphseek.indexing.packing import BlobWriter
from glyphseek.indexing.pipeline import BoundedLine, CallsAhead, map_ahead
from glyphseek.indexing.report import IndexProgress, Skip, Stage
from glyphseek.indexing.settings import IndexSettings
from glyphseek.indexing.tally import Tally
from glyphseek.indexing.tidying import apply_changes, compare_names
from glyphseek.indexing.writing import Writer
from glyphseek.ports import FeatureStore, Model, VectorStore

_FILES_PER_PROGRESS = 500
_WRITES_AHEAD = 2
_HINTS_EVERY_S = 120.0


@dataclass(slots=True, kw_only=True)
class FolderPass:
    """The steps of one run over one folder, in the order `find`, `index`, `tidy`."""

    folder: Path
    gallery: Path
    model: Model
    vectors: VectorStore
    features: FeatureStore
    settings: IndexSettings
    ledger: Ledger
    hints: FileHints
    tally: Tally
    descriptions: Descriptions
    on_progress: Callable[[IndexProgress], None]
    clock: Callable[[], float] = time.monotonic
    now_ns: Callable[[], int] = time.time_ns
    _waiting: list[FoundFile] = field(default_factory=list[FoundFile])
    _names: set[str] = field(default_factory=set[str])
    _unreadable_names: set[str] = field(default_factory=set[str])
    _unreadable_folders: list[str] = field(default_factory=list[str])
    _hints_saved_s: float = 0.0
    _model_busy_until_s: float = 0.0

    def find(self) -> None:
        """List the folder; files that have not changed since they were indexed are done with here, unread."""
        for entry in find_files(self.folder, exclude=[self.gallery]):
            if isinstance(entry, Unreachable):
                self._note_unreachable(entry)
            else:
                self._sort_in(entry)
            if (self.tally.found + self.tally.passed_over) % _FILES_PER_PROGRESS == 0:
                self._tell(Stage.FINDING)
        self._tell(Stage.FINDING)

    def index(self) -> None:
        """Decode, encode and write the photos of new content; whatever ends it, what was encoded is committed."""
        writer = Writer(
            vectors=self.vectors,
            blobs=BlobWriter(
                model=self.model,
                features=self.features,
                codec=self.settings.codec,
                keep_likelihood=self.settings.keep_likelihood,
            ),
            ledger=self.ledger,
            settings=self.settings,
            descriptions=self.descriptions,
            clock=self.clock,
        )
        self._hints_saved_s = self.clock()
        calls = calls_at_once(self.settings.batch_images)
        with (
            ThreadPoolExecutor(1, "glyphseek-write") as writing,
            ThreadPoolExecutor(calls, "glyphseek-encode") as encoding,
        ):
            line = BoundedLine(writing, bound=_WRITES_AHEAD)
            encoder = BatchEncoder(model=self.model, ledger=self.ledger, clock=self.clock)
            ahead = CallsAhead(encoding, encoder.encode, bound=calls)
            try:
                with closing(self._batches(line, writer)) as batches:
                    for batch in batches:
                        self._hand_on(ahead.call(batch), line, writer)
                self._hand_on(ahead.rest(), line, writer)
            finally:
                self._keep_the_rest(ahead, line, writer)
        self._tell(Stage.INDEXING)

    def tidy(self) -> None:
        """Give every image the names that hold it and what is said of it, and remove those that no file holds."""
        self.hints.keep_only(self._names)
        changes = compare_names(
            self.ledger.records(), self.ledger.names_of, self._is_kept, describe=self.descriptions.describe
        )
        self._tell(Stage.TIDYING)
        for part in apply_changes(
            changes, vectors=self.vectors, features=self.features, fingerprint=self.model.card.fingerprint
        ):
            self.tally.renamed += part.renamed
            self.tally.described += part.described
            self.tally.removed += part.removed
            self.tally.skips += part.skipped
            self._tell(Stage.TIDYING)

    def _hand_on(self, batches: Iterable[EncodedBatch], line: BoundedLine, writer: Writer) -> None:
        """Give what the model encoded to the writer, and tell of it."""
        for batch in batches:
            line.submit(partial(writer.write, batch.images, batch.features))
            tally = self.tally
            tally.done += batch.size
            tally.encoded += len(batch.images)
            tally.encoder_seconds += max(0.0, batch.ended_s - max(batch.begun_s, self._model_busy_until_s))
            self._model_busy_until_s = max(batch.ended_s, self._model_busy_until_s)
            self._tell(Stage.INDEXING)
            self._save_hints_now_and_then()

    def _keep_the_rest(
        self, ahead: CallsAhead[Sequence[PreparedImage], EncodedBatch], line: BoundedLine, writer: Writer
    ) -> None:
        """Wait for what the model was given before the run was ended, and commit all that is not committed yet."""
        try:
            self._hand_on(ahead.rescue(), line, writer)
        finally:
            try:
                line.finish(writer.commit)
            finally:
                self.tally.added = writer.added

    def _sort_in(self, file: FoundFile) -> None:
        content_hash = self.hints.find(file.name, file.stamp)
        if content_hash is not None and self.ledger.has(content_hash):
            self.ledger.attach(content_hash, file.name)
            self.tally.unchanged += 1
            self.tally.done += 1
        elif is_image_file(file):
            self._waiting.append(file)
        else:
            self.tally.passed_over += 1
            return
        self._names.add(file.name)
        self.tally.found += 1

    def _note_unreachable(self, entry: Unreachable) -> None:
        if not entry.is_folder and not has_image_suffix(entry.path):
            self.tally.passed_over += 1
            return
        if entry.is_folder:
            self._unreadable_folders.append(f"{entry.name}/")
        elif not entry.is_gone:
            self._unreadable_names.add(entry.name)
        self.tally.skips.append(Skip(name=entry.name, kind=type(entry.error).__name__, message=str(entry.error)))

    def _batches(self, line: BoundedLine, writer: Writer) -> Generator[list[PreparedImage]]:
        """Yield the images that the model must see, a batch at a time; those whose features exist go to the writer."""
        settings = self.settings
        loader = Loader(
            model=self.model, features=self.features, ledger=self.ledger, settings=settings, now_ns=self.now_ns
        )
        batch: list[PreparedImage] = []
        ahead = 2 * settings.batch_images + settings.decode_threads
        with (
            ThreadPoolExecutor(settings.decode_threads, "glyphseek-decode") as executor,
            closing(map_ahead(executor, loader.load, self._waiting, ahead=ahead)) as results,
        ):
            for loaded in results:
                image = self._note_loaded(loaded)
                if image is None:
                    self.tally.done += 1
                elif image.features is not None:
                    line.submit(partial(writer.write, [image], [image.features]))
                    self.tally.reused += 1
                    self.tally.done += 1
                else:
                    batch.append(image)
                if len(batch) == settings.batch_images:
                    yield batch
                    batch = []
            if batch:
                yield batch

    def _note_loaded(self, loaded: Loaded) -> PreparedImage | None:
        name = loaded.file.name
        if loaded.skip is not None:
            self.tally.skips.append(loaded.skip)
            if loaded.is_unreachable:
                self._unreadable_names.add(name)
        elif loaded.content_hash is not None:
            if self.ledger.had_at_start(loaded.content_hash):
                self.tally.unchanged += 1
            if loaded.stamp is not None:
                self.hints.remember(name, loaded.stamp, loaded.content_hash, read_ns=loaded.read_ns)
        return loaded.image

    def _is_kept(self, name: str) -> bool:
        """Tell of a name that no readable file has now, whether it stays: wished so, or nobody could look."""
        return (
            name in self._unreadable_names
            or (self.settings.keep_missing and name not in self._names)
            or any(name.startswith(folder) for folder in self._unreadable_folders)
        )

    def _tell(self, stage: Stage) -> None:
        tally = self.tally
        skipped = len(tally.skips) + self.ledger.rejected_count()
        self.on_progress(
            IndexProgress(stage=stage, done=tally.done, total=tally.found, encoded=tally.encoded, skipped=skipped)
        )

    def _save_hints_now_and_then(self) -> None:
        if self.clock() - self._hints_saved_s >= _HINTS_EVERY_S:
            self.hints.save(self.folder.resolve())
            self._hints_saved_s = self.clock()
