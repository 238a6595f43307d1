"""Every error that Glyphseek raises on purpose.

GlyphseekError
├── InputError              the caller can mend it: the message holds the value and the limit
│   ├── QueryError          a query that cannot be asked, or that this model cannot answer
│   ├── ImageError          a file that cannot be indexed
│   │   ├── ImageUnreadable     missing rights, truncated, corrupt, empty
│   │   ├── ImageUnsupported    not an image, or a format that is not read here
│   │   └── ImageTooLarge       more bytes or pixels than the bound
│   ├── ImageNotFound       no image has that id
│   └── SettingError        an unknown or impossible setting
├── GalleryError            the gallery as a whole
│   ├── GalleryNotFound     no gallery at that place
│   ├── GalleryBusy         another process has it open
│   ├── GalleryDamaged      its manifest or store cannot be read
│   └── ModelMismatch       it was written by another model
├── BlobError               one stored feature blob
│   ├── BlobMissing         the row exists, the blob does not
│   ├── BlobDamaged         magic, length or checksum is wrong
│   └── BlobForeign         sound, but of another version or model
├── StoreError              a store refused
│   ├── StoreFull           no space left
│   └── StoreUnavailable    it did not answer
├── ModelError              a model cannot be loaded
│   ├── ModelNotFound       no such preset or file
│   └── CheckpointDamaged   weights and manifest disagree
├── ServiceError            another process was asked and has not done it
│   ├── ServiceUnavailable  it did not answer, or failed
│   ├── DeadlineExceeded    there was no time left
│   ├── Overloaded          it has more to do than it takes on; try again after `retry_after_s`
│   ├── Unauthenticated     no key, or one that is not known
│   └── PermissionDenied    the key does not allow this
└── MissingExtra            an optional library is not installed
"""


class GlyphseekError(Exception):
    """Base of every error raised on purpose; its text is fit to show to a user."""


class InputError(GlyphseekError):
    """The caller gave something that cannot be used; the message holds the value and the limit."""


class QueryError(InputError):
    """The query cannot be parsed, is too long, or needs something this model does not have."""


class ImageError(InputError):
    """A file cannot be indexed; base of the three reasons."""


class ImageUnreadable(ImageError):
    """The file is missing, forbidden, empty, truncated or corrupt."""


class ImageUnsupported(ImageError):
    """The file is not an image, or of a format that is not read here."""


class ImageTooLarge(ImageError):
    """The file has more bytes or pixels than the bound; it was refused before decoding."""


class ImageNotFound(InputError):
    """No image of the gallery has that id."""


class SettingError(InputError):
    """A setting is unknown or outside its range."""


class GalleryError(GlyphseekError):
    """The gallery as a whole cannot be used."""


class GalleryNotFound(GalleryError):
    """There is no gallery at that place."""


class GalleryBusy(GalleryError):
    """Another process has the gallery open for writing."""


class GalleryDamaged(GalleryError):
    """The gallery's manifest or vector store cannot be read."""


class ModelMismatch(GalleryError):
    """The gallery or query was made with another model; names and fingerprints of both are in the message."""


class BlobError(GlyphseekError):
    """One stored feature blob cannot be used; the image keeps its recall score."""


class BlobMissing(BlobError):
    """The image has a row but no blob."""


class BlobDamaged(BlobError):
    """Magic, length, shape or checksum of the blob is wrong."""


class BlobForeign(BlobError):
    """The blob is sound but of another format version or another model."""


class StoreError(GlyphseekError):
    """A store refused or failed."""


class StoreFull(StoreError):
    """The store has no space left; nothing was half written."""


class StoreUnavailable(StoreError):
    """The store did not answer."""


class ModelError(GlyphseekError):
    """A model cannot be loaded."""


class ModelNotFound(ModelError):
    """No preset or weights file has that name; the message lists the known ones."""


class CheckpointDamaged(ModelError):
    """Weights do not have the hash, names or shapes that their manifest states."""


class ServiceError(GlyphseekError):
    """Another process was asked for something and has not done it."""


class ServiceUnavailable(ServiceError):
    """The service did not answer, or failed in a way that it did not name."""


class DeadlineExceeded(ServiceError):
    """The time that the caller gave is over."""


class Overloaded(ServiceError):
    """The service has more to do than it takes on; it is worth trying again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unauthenticated(ServiceError):
    """The caller gave no key, or one that is not known."""


class PermissionDenied(ServiceError):
    """The caller's key does not allow this."""


class MissingExtra(GlyphseekError):
    """An optional library is missing; the message names the extra that installs it."""
