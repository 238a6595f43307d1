import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpc.codec.values import METADATA, PROPERTY, RECORDS

from glyphseek.api.v1 import encoder_service_pb2 as pb
from glyphseek.api.v1 import types_pb2
from glyphseek.errors import ImageError, ImageTooLarge, ImageUnreadable, ImageUnsupported, InputError
from glyphseek.indexing import EncodedFile, StoredImage
from glyphseek.metadata import Metadata
from glyphseek.rpc.codec import (
    decode_images_request,
    decode_images_response,
    decode_metadata,
    decode_record,
    encode_images_request,
    encode_images_response,
    encode_metadata,
    encode_record,
)
from glyphseek.types import ImageRecord

RECORD = ImageRecord(image_id="a", content_hash="ab", names=(), width=4, height=3, instance_count=1)


@PROPERTY
@given(record=RECORDS)
def test_a_record_comes_back_as_it_was(record: ImageRecord) -> None:
    message = types_pb2.ImageRecord.FromString(encode_record(record).SerializeToString())
    assert decode_record(message) == record


@PROPERTY
@given(metadata=METADATA)
def test_metadata_keeps_flags_apart_from_numbers(metadata: Metadata) -> None:
    assert decode_metadata(encode_metadata(metadata)) == metadata


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ({"city": types_pb2.MetadataValue()}, "'city' has no value"),
        ({"city": types_pb2.MetadataValue(text="a" * 1025)}, "1024|1,024"),
        ({"no name": types_pb2.MetadataValue(flag=True)}, "no name"),
        ({"year": types_pb2.MetadataValue(number=float("nan"))}, "year"),
    ],
)
def test_impossible_metadata_is_refused(messages: dict[str, types_pb2.MetadataValue], told: str) -> None:
    with pytest.raises(InputError, match=told):
        decode_metadata(messages)


@PROPERTY
@given(contents=st.lists(st.tuples(st.binary(), st.none() | st.just("mine")), min_size=1, max_size=4))
def test_files_come_back_as_they_were(contents: list[tuple[bytes, str | None]]) -> None:
    files = [EncodedFile(content=content, image_id=image_id) for content, image_id in contents]
    request = encode_images_request("ab" * 16, files)
    assert decode_images_request(pb.EncodeImagesRequest.FromString(request.SerializeToString())) == files


@pytest.mark.parametrize("count", [0, 65])
def test_none_and_too_many_files_are_refused_with_the_limit(count: int) -> None:
    request = encode_images_request("ab" * 16, [EncodedFile(content=b"x")] * count)
    with pytest.raises(InputError, match=f"{count} images to encode, it must be 1 to 64"):
        decode_images_request(request)


def test_each_image_has_its_own_outcome() -> None:
    stored = StoredImage(record=RECORD, vectors=np.eye(2, dtype=np.float32), reused=True)
    refused = [one(f"{one.__name__}: 9 bytes, the limit is 8") for one in (ImageTooLarge, ImageUnreadable)]
    others = [ImageUnsupported("not an image"), ImageError("odd")]
    response = encode_images_response("ab" * 16, [refused[0], stored, refused[1], *others])
    found = decode_images_response(pb.EncodeImagesResponse.FromString(response.SerializeToString()), images=5, width=2)
    first = found[1]
    assert isinstance(first, StoredImage)
    assert (first.record, first.reused) == (RECORD, True)
    np.testing.assert_array_equal(first.vectors, stored.vectors)
    assert [(type(one), str(one)) for one in (found[0], *found[2:])] == [
        (type(one), str(one)) for one in (*refused, *others)
    ]


def test_an_answer_that_does_not_fit_its_request_is_refused() -> None:
    stored = StoredImage(record=RECORD, vectors=np.eye(2, dtype=np.float32))
    response = encode_images_response("ab" * 16, [stored])
    with pytest.raises(InputError, match="1 answers came for 2 images"):
        decode_images_response(response, images=2, width=2)
    with pytest.raises(InputError, match="vectors of an image has the shape"):
        decode_images_response(response, images=1, width=3)
