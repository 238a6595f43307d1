"""Primary keys of rows on a Milvus server: `TENANT/IMAGE` of an image, `TENANT/IMAGE/WRITING/INSTANCE` of a vector."""

from __future__ import annotations

from dataclasses import dataclass

from glyphseek.errors import InputError

MAX_ID_BYTES = 480


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVector:
    """A vector that a search found: of which writing of which image, at which place, and how similar to the query."""

    image_id: str
    instance: int
    writing: str
    similarity: float


def image_key(tenant: str, image_id: str) -> str:
    """Return the primary key of an image: fit for any filter, ordered as ids are. Raises InputError for a long id."""
    if not fits_key(image_id):
        raise InputError(f"image id {image_id[:40]!r}... has more than {MAX_ID_BYTES} bytes")
    return f"{tenant}/{_encode(image_id)}"


def vector_key(image_pk: str, writing: str, instance: int) -> str:
    """Return the primary key of a vector of one writing of an image."""
    return f"{image_pk}/{writing}/{instance:05}"


def key_after(tenant: str, image_id: str) -> str:
    """Return what the primary keys of the tenant's images that come after `image_id` come after.

    An id that is too long to be stored comes between the same ones as its beginning does.
    """
    return f"{tenant}/{_encode(image_id)[: 2 * MAX_ID_BYTES + 2]}"


def read_vector_key(pk: str, similarity: float) -> FoundVector:
    """Return what the primary key of a vector says."""
    _, image, writing, instance = pk.split("/")
    return FoundVector(image_id=_decode(image), instance=int(instance), writing=writing, similarity=similarity)


def fits_key(image_id: str) -> bool:
    """Return whether an id is short enough to be stored."""
    return len(image_id.encode("utf-8", "surrogatepass")) <= MAX_ID_BYTES


def date_of(seconds: float) -> str:
    """Return a time (seconds since 1970) as 12 hex digits of milliseconds, which are ordered as times are."""
    return f"{max(0, int(seconds * 1000)):012x}"


def _encode(image_id: str) -> str:
    """Return the bytes of an id in hex digits, which are ordered as its characters are."""
    return image_id.encode("utf-8", "surrogatepass").hex()


def _decode(text: str) -> str:
    return bytes.fromhex(text).decode("utf-8", "surrogatepass")
