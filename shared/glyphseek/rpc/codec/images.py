"""Images: what is known of one, and what became of those that were sent to be encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glyphseek import errors
from glyphseek.api.v1 import encoder_service_pb2 as pb
from glyphseek.api.v1 import types_pb2
from glyphseek.errors import ImageError, InputError
from glyphseek.indexing import EncodedFile, StoredImage
from glyphseek.metadata import Metadata, MetadataValue
from glyphseek.rpc.codec.arrays import decode_array, encode_array
from glyphseek.types import ImageRecord

MOST_FILES = 64

_FAILURES: dict[str, type[ImageError]] = {
    one.__name__: one
    for one in (errors.ImageError, errors.ImageUnreadable, errors.ImageUnsupported, errors.ImageTooLarge)
}


def encode_record(record: ImageRecord) -> types_pb2.ImageRecord:
    """Return what is known of one image."""
    return types_pb2.ImageRecord(
        image_id=record.image_id,
        content_hash=record.content_hash,
        names=record.names,
        width=record.width,
        height=record.height,
        instance_count=record.instance_count,
        metadata=encode_metadata(record.metadata),
    )


def decode_record(message: types_pb2.ImageRecord) -> ImageRecord:
    """Return what is known of one image. Raises InputError for impossible metadata."""
    return ImageRecord(
        image_id=message.image_id,
        content_hash=message.content_hash,
        names=tuple(message.names),
        width=message.width,
        height=message.height,
        instance_count=message.instance_count,
        metadata=decode_metadata(message.metadata),
    )


def encode_metadata(metadata: Mapping[str, MetadataValue]) -> dict[str, types_pb2.MetadataValue]:
    """Return what a caller says of an image."""
    return {key: _encode_value(value) for key, value in metadata.items()}


def decode_metadata(messages: Mapping[str, types_pb2.MetadataValue]) -> Metadata:
    """Return what a caller says of an image. Raises InputError past a bound of `Metadata`, and for a missing value."""
    return Metadata({key: _decode_value(key, message) for key, message in messages.items()})


def encode_images_request(fingerprint: str, files: Sequence[EncodedFile]) -> pb.EncodeImagesRequest:
    """Return the request to encode and store image files with the model `fingerprint`."""
    images = [pb.EncodedFile(image_id=one.image_id or "", content=one.content) for one in files]
    return pb.EncodeImagesRequest(model=fingerprint, images=images)


def decode_images_request(request: pb.EncodeImagesRequest) -> list[EncodedFile]:
    """Return the files. Raises InputError for none and for too many."""
    if not 1 <= len(request.images) <= MOST_FILES:
        raise InputError(f"{len(request.images)} images to encode, it must be 1 to {MOST_FILES}")
    return [EncodedFile(image_id=one.image_id or None, content=one.content) for one in request.images]


def encode_images_response(fingerprint: str, outcomes: Sequence[StoredImage | ImageError]) -> pb.EncodeImagesResponse:
    """Return what became of each image."""
    return pb.EncodeImagesResponse(model=fingerprint, images=[_encode_outcome(one) for one in outcomes])


def decode_images_response(
    response: pb.EncodeImagesResponse, *, images: int, width: int
) -> list[StoredImage | ImageError]:
    """Return what became of so many images, with vectors of `width`. Raises InputError where that does not fit."""
    if len(response.images) != images:
        raise InputError(f"{len(response.images)} answers came for {images} images")
    return [_decode_outcome(one, width) for one in response.images]


def _encode_value(value: MetadataValue) -> types_pb2.MetadataValue:
    match value:
        case bool():
            return types_pb2.MetadataValue(flag=value)
        case str():
            return types_pb2.MetadataValue(text=value)
        case _:
            return types_pb2.MetadataValue(number=value)


def _decode_value(key: str, message: types_pb2.MetadataValue) -> MetadataValue:
    match message.WhichOneof("kind"):
        case "text":
            return message.text
        case "number":
            return message.number
        case "flag":
            return message.flag
        case _:
            raise InputError(f"metadata {key!r} has no value")


def _encode_outcome(outcome: StoredImage | ImageError) -> pb.EncodedImage:
    if isinstance(outcome, ImageError):
        return pb.EncodedImage(failure=pb.ImageFailure(kind=type(outcome).__name__, message=str(outcome)))
    return pb.EncodedImage(
        record=encode_record(outcome.record), vectors=encode_array(outcome.vectors), reused=outcome.reused
    )


def _decode_outcome(message: pb.EncodedImage, width: int) -> StoredImage | ImageError:
    if message.HasField("failure"):
        return _FAILURES.get(message.failure.kind, ImageError)(message.failure.message)
    return StoredImage(
        record=decode_record(message.record),
        vectors=decode_array(message.vectors, (None, width), name="vectors of an image"),
        reused=message.reused,
    )
