"""Photos that arrive from whoever sends them: encode, keep, commit, and say what became of each.

Encoding is somebody else's (`ImageEncoding`): this job decides what needs it, and writes the rows last.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from glyphseek.deadlines import deadline_bound
from glyphseek.errors import ImageError, InputError
from glyphseek.fetching import SETTLING_S
from glyphseek.indexing.arrivals import Arrival, Intaken
from glyphseek.indexing.encoding import ImageEncoding, StoredImage
from glyphseek.indexing.holding import HeldIds
from glyphseek.indexing.opening import EncodedFile, hash_content, id_of
from glyphseek.indexing.packing import read_left_blob, vectors_of
from glyphseek.metadata import Metadata, MetadataValue
from glyphseek.ports import FeatureStore, VectorStore, blob_key
from glyphseek.types import FloatArray, ImageRecord

PHOTOS = "photos"
"""First segment of the keys of kept photos; a model's fingerprint never reads so."""
MAX_NAME_CHARACTERS = 1024
_CONTENT_ID = re.compile(r"[0-9a-f]{32}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeItem:
    """A photo that somebody wants in the gallery.

    image_id: the caller's, 1 to 128 letters, digits, `-` and `_`; the content's own when None. name: for people, None
    for none. metadata: empty leaves that of an image which is there already.
    """

    content: bytes = field(repr=False)
    image_id: str | None = None
    name: str | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict[str, MetadataValue])


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeResult:
    """What became of one item. `error` says why it was REFUSED, and is None otherwise."""

    image_id: str
    outcome: Intaken
    error: InputError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Which images are no more, and which ids no image had; both in the order they were asked for."""

    removed_ids: tuple[str, ...]
    unknown_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    place: int
    image_id: str
    content_hash: str
    item: IntakeItem


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    record: ImageRecord
    vectors: FloatArray


def photo_key(content_hash: str) -> str:
    """Return the key under which the file of that content is kept."""
    return f"{PHOTOS}/{content_hash[:2]}/{content_hash}"


def no_other_galleries() -> Sequence[VectorStore]:
    """Return nothing: what an intake whose blobs no other gallery uses takes for `others`."""
    return ()


class Intake:
    """Adds photos to one generation of a gallery and removes them; may be used from several threads.

    What holds at every moment, whatever dies: a row has its blob, and that blob is of the row's content. Calls that
    name one id wait for each other in this process; between processes, the last one counts.
    """

    def __init__(
        self,
        vectors: VectorStore,
        features: FeatureStore,
        encoder: ImageEncoding,
        *,
        fingerprint: str,
        keep_photos: bool = False,
        others: Callable[[], Sequence[VectorStore]] = no_other_galleries,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the parts.

        features: where the encoder writes blobs of model `fingerprint`. keep_photos: keep files under `photo_key`.
        others: rows of the other galleries that share these blobs; what they use is neither replaced nor removed. wait:
        lets seconds pass, while caches that hold what an id was before let go of it.
        """
        self._vectors = vectors
        self._features = features
        self._encoder = encoder
        self._fingerprint = fingerprint
        self._keep_photos = keep_photos
        self._others = others
        self._wait = wait
        self._ids = HeldIds()

    def add(self, items: Sequence[IntakeItem]) -> list[IntakeResult]:
        """Add photos and return, in their order, what became of each; it is committed when this returns.

        Adding again changes nothing and encodes nothing. An image has every name that its content was added with. An
        id that gets another content is in no search until that is stored and nothing holds the old one any more, about
        a second later. Raises what stores and encoder raise; then some may be added, and adding all again is right.
        """
        results: dict[int, IntakeResult] = {}
        wanted: list[_Wanted] = []
        for place, item in enumerate(items):
            content_hash = hash_content(item.content)
            image_id = item.image_id or id_of(content_hash)
            if (error := _find_fault(item, id_of(content_hash))) is not None:
                results[place] = _refuse(image_id, error)
            else:
                wanted.append(_Wanted(place=place, image_id=image_id, content_hash=content_hash, item=item))
        for group in _group(wanted):
            with self._ids.hold({one.image_id for one in group}):
                results |= self._add_group(group)
        return [results[place] for place in range(len(items))]

    def delete(self, image_ids: Sequence[str]) -> Removal:
        """Remove images: all rows first, then the blobs that no other gallery uses. Kept photos are left to `gc`.

        A removed image is in no search that begins when this has returned.
        """
        asked = tuple(dict.fromkeys(image_ids))
        with self._ids.hold(set(asked)):
            known = self._vectors.get(asked)
            with deadline_bound(None):  # one between rows and blobs would leave blobs that nobody needs
                self._vectors.delete(list(known))
                shared = self._find_elsewhere(list(known))
                self._features.delete([blob_key(self._fingerprint, one) for one in known if one not in shared])
        return Removal(
            removed_ids=tuple(one for one in asked if one in known),
            unknown_ids=tuple(one for one in asked if one not in known),
        )

    def _add_group(self, group: Sequence[_Wanted]) -> dict[int, IntakeResult]:
        """Add items of which those with one id have one content."""
        known = self._vectors.get(list({one.image_id for one in group}))
        refused = self._find_taken(group)
        outcomes: dict[int, Intaken] = {}
        arrivals: dict[str, Arrival] = {}
        files: dict[str, EncodedFile] = {}
        for one in group:
            if one.image_id not in refused:
                arrival = arrivals.setdefault(one.image_id, _begin(one, known))
                outcomes[one.place] = arrival.join(name=one.item.name, metadata=one.item.metadata)
                files[one.image_id] = EncodedFile(content=one.item.content, image_id=one.item.image_id)
        refused |= self._commit([one for one in arrivals.values() if one.needs_row], files)
        return {
            one.place: _refuse(one.image_id, refused[one.image_id])
            if one.image_id in refused
            else IntakeResult(image_id=one.image_id, outcome=outcomes[one.place])
            for one in group
        }

    def _commit(self, arrivals: Sequence[Arrival], files: Mapping[str, EncodedFile]) -> dict[str, InputError]:
        """Store blobs and then rows; return why some ids cannot be stored."""
        rows = self._read_rows([one for one in arrivals if one.known is not None])
        replaced = [one.image_id for one in arrivals if one.replaces]
        if replaced:
            self._vectors.delete(replaced)
        refused: dict[str, InputError] = {}
        new = [one for one in arrivals if one.replaces or one.image_id not in rows]
        for arrival, outcome in zip(new, self._encode([files[one.image_id] for one in new]), strict=True):
            if isinstance(outcome, StoredImage):
                rows[arrival.image_id] = _Row(record=arrival.row(outcome.record), vectors=outcome.vectors)
            else:
                refused[arrival.image_id] = outcome
        if any(one not in refused for one in replaced):
            self._wait(SETTLING_S)
        if rows:
            self._vectors.put([row.record for row in rows.values()], [row.vectors for row in rows.values()])
        return refused

    def _encode(self, files: Sequence[EncodedFile]) -> list[StoredImage | InputError]:
        outcomes: list[StoredImage | InputError] = []
        for file, outcome in zip(files, self._encoder.encode_and_store(files) if files else (), strict=True):
            kept = self._keep(file, outcome) if isinstance(outcome, StoredImage) and self._keep_photos else outcome
            outcomes.append(kept)
        return outcomes

    def _keep(self, file: EncodedFile, stored: StoredImage) -> StoredImage | InputError:
        try:
            self._features.put(photo_key(stored.record.content_hash), file.content)
        except InputError as error:  # larger than a blob may be
            return error
        return stored

    def _read_rows(self, arrivals: Sequence[Arrival]) -> dict[str, _Row]:
        """Return the rows that can be written again from their blobs: as they shall be, or as they are if replaced.

        A replaced one is written again only if its successor is refused.
        """
        rows: dict[str, _Row] = {}
        blobs = self._features.get([blob_key(self._fingerprint, one.image_id) for one in arrivals])
        for one, blob in zip(arrivals, blobs, strict=True):
            found = read_left_blob(blob, fingerprint=self._fingerprint, image_id=one.image_id)
            if found is not None and one.known is not None:
                record = one.known if one.replaces else one.row(one.known)
                rows[one.image_id] = _Row(record=record, vectors=vectors_of(found))
        return rows

    def _find_taken(self, group: Sequence[_Wanted]) -> dict[str, InputError]:
        """Return the callers' ids that another gallery has for another content, with an error that says so."""
        named = {one.image_id: one.content_hash for one in group if one.image_id != id_of(one.content_hash)}
        elsewhere = self._find_elsewhere(list(named))
        return {
            image_id: ImageError(f"image id {image_id!r} is another photo's in another gallery of the same model")
            for image_id, record in elsewhere.items()
            if record.content_hash != named[image_id]
        }

    def _find_elsewhere(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """Return the records that other galleries have under these ids."""
        found: dict[str, ImageRecord] = {}
        if image_ids:
            for vectors in self._others():
                found |= vectors.get(image_ids)
        return found


def _find_fault(item: IntakeItem, content_id: str) -> InputError | None:
    """Return why an item cannot be taken, apart from its picture."""
    if item.image_id and _CONTENT_ID.fullmatch(item.image_id) and item.image_id != content_id:
        return InputError(f"image id {item.image_id!r} has the form of another content's own id")
    if item.image_id and _ID.fullmatch(item.image_id) is None:
        return InputError(f"image id {item.image_id[:200]!r} is not 1 to 128 letters, digits, '-' and '_'")
    if item.name and len(item.name) > MAX_NAME_CHARACTERS:
        return InputError(f"the name has {len(item.name)} characters, the limit is {MAX_NAME_CHARACTERS}")
    try:
        Metadata(item.metadata)
    except InputError as error:
        return error
    return None


def _group(wanted: Sequence[_Wanted]) -> Iterator[list[_Wanted]]:
    """Yield the items in order, in groups that give no id two contents."""
    contents: dict[str, str] = {}
    group: list[_Wanted] = []
    for one in wanted:
        if contents.setdefault(one.image_id, one.content_hash) != one.content_hash:
            yield group
            contents, group = {one.image_id: one.content_hash}, []
        group.append(one)
    if group:
        yield group


def _begin(wanted: _Wanted, known: Mapping[str, ImageRecord]) -> Arrival:
    return Arrival(image_id=wanted.image_id, content_hash=wanted.content_hash, known=known.get(wanted.image_id))


def _refuse(image_id: str, error: InputError) -> IntakeResult:
    return IntakeResult(image_id=image_id, outcome=Intaken.REFUSED, error=error)
