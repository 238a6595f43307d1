from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from indexing.gallery_fakes import FINGERPRINT, FakeFeatures, FakeModel, features_of, photo_bytes
from PIL import Image

from glyphseek.errors import ImageError, ImageTooLarge, ImageUnsupported, SettingError, StoreFull
from glyphseek.images import ImageLimits, decode_image
from glyphseek.indexing import EncodedFile, EncodingSettings, ImageEncoder, StoredImage, hash_content, id_of, open_photo
from glyphseek.ports import blob_key
from glyphseek.tokens import CodecName, unpack_vectors
from glyphseek.types import RgbImage


def encode(
    model: FakeModel, features: FakeFeatures, *files: EncodedFile, settings: EncodingSettings | None = None
) -> list[StoredImage | ImageError]:
    with ImageEncoder(model, features, settings or EncodingSettings()) as encoder:
        return encoder.encode_and_store(files)


def stored(outcome: StoredImage | ImageError) -> StoredImage:
    assert isinstance(outcome, StoredImage), outcome
    return outcome


def test_a_file_becomes_a_blob_and_what_its_row_needs() -> None:
    features, content = FakeFeatures(), photo_bytes(3, size=(48, 32))
    one = stored(encode(FakeModel(), features, EncodedFile(content=content))[0])

    blob = features.content()[blob_key(FINGERPRINT, id_of(hash_content(content)))]
    in_blob = unpack_vectors(blob, fingerprint=FINGERPRINT).instances
    assert in_blob is not None
    assert one.record.image_id == one.record.content_hash[:32] == id_of(hash_content(content))
    assert (one.record.width, one.record.height, one.record.names) == (48, 32, ())
    assert one.record.instance_count == len(in_blob) == len(one.vectors)
    np.testing.assert_array_equal(one.vectors, in_blob.vectors_ND)
    assert not one.reused


def test_answers_are_in_order_and_a_file_that_is_no_image_fails_alone() -> None:
    contents = [photo_bytes(1), b"no image", photo_bytes(2)]
    first, second, third = encode(FakeModel(), FakeFeatures(), *(EncodedFile(content=one) for one in contents))

    assert [stored(one).record.content_hash for one in (first, third)] == [
        hash_content(contents[0]),
        hash_content(contents[2]),
    ]
    assert isinstance(second, ImageUnsupported)


def test_a_photo_over_the_limit_is_refused_before_it_is_decoded() -> None:
    settings = EncodingSettings(limits=ImageLimits(max_pixels=1000))
    (outcome,) = encode(FakeModel(), FakeFeatures(), EncodedFile(content=photo_bytes(1)), settings=settings)

    assert isinstance(outcome, ImageTooLarge)
    assert "1000" in str(outcome)


def test_a_blob_that_is_there_is_used_again_and_nothing_is_encoded_twice() -> None:
    model, features, file = FakeModel(), FakeFeatures(), EncodedFile(content=photo_bytes(5))
    before = stored(encode(model, features, file, file)[0])
    after = stored(encode(model, features, file)[0])

    assert len(model.encoded) == 1
    assert after.reused
    assert after.record == before.record
    np.testing.assert_array_equal(after.vectors, before.vectors)


def test_a_damaged_blob_is_written_anew() -> None:
    model, features, file = FakeModel(), FakeFeatures(), EncodedFile(content=photo_bytes(5))
    encode(model, features, file)
    sound = features.content()
    (key,) = sound
    features.put(key, b"damaged")

    assert not stored(encode(model, features, file)[0]).reused
    assert features.content() == sound


def test_a_blob_under_a_callers_id_is_never_used_for_another_content() -> None:
    model, features = FakeModel(), FakeFeatures()
    encode(model, features, EncodedFile(content=photo_bytes(1), image_id="mine"))
    again = stored(encode(model, features, EncodedFile(content=photo_bytes(2), image_id="mine"))[0])

    assert not again.reused
    expected = features_of(np.asarray(decode_image(photo_bytes(2)).pixels)).instances
    assert expected is not None
    np.testing.assert_allclose(again.vectors, expected.vectors_ND, atol=1e-3)


def test_of_a_batch_that_the_model_fails_at_only_the_odd_picture_is_refused() -> None:
    def fail_at_a_wide_one(images: Sequence[RgbImage]) -> None:
        if any(image.shape[1] > 40 for image in images):
            raise RuntimeError("too wide")

    model = FakeModel(before_encode=fail_at_a_wide_one)
    contents = [photo_bytes(1, size=(32, 32)), photo_bytes(2, size=(60, 32)), photo_bytes(3, size=(32, 32))]
    first, second, third = encode(model, FakeFeatures(), *(EncodedFile(content=one) for one in contents))

    assert isinstance(second, ImageUnsupported)
    assert "too wide" in str(second)
    assert isinstance(first, StoredImage)
    assert isinstance(third, StoredImage)


def test_a_picture_that_cannot_be_prepared_is_refused_alone() -> None:
    def fail(image: RgbImage) -> None:
        if image.shape[1] > 40:
            raise ValueError("odd")

    contents = [photo_bytes(1, size=(60, 32)), photo_bytes(2, size=(32, 32))]
    first, second = encode(
        FakeModel(before_prepare=fail), FakeFeatures(), *(EncodedFile(content=one) for one in contents)
    )

    assert isinstance(first, ImageError)
    assert isinstance(second, StoredImage)


def test_a_full_store_is_an_error_of_the_call_and_not_of_a_photo() -> None:
    with pytest.raises(StoreFull):
        encode(FakeModel(), FakeFeatures(capacity=1), *(EncodedFile(content=photo_bytes(n)) for n in range(2)))


def test_photos_opened_elsewhere_give_the_same_blobs() -> None:
    content = photo_bytes(7)
    here, there = FakeFeatures(), FakeFeatures()
    encode(FakeModel(), here, EncodedFile(content=content))
    photo = open_photo(EncodedFile(content=content), limits=ImageLimits())
    refused = ImageUnsupported("no image")
    with ImageEncoder(FakeModel(), there) as encoder:
        outcomes = encoder.store_opened([refused, photo])

    assert outcomes[0] is refused
    assert there.content() == here.content()


def test_a_photo_is_read_at_the_size_of_its_model_but_measured_as_displayed() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    model = FakeModel()
    model.card = replace(model.card, longer_side=32)

    one = stored(encode(model, FakeFeatures(), EncodedFile(content=buffer.getvalue()))[0])

    assert (one.record.width, one.record.height) == (64, 128)


def test_a_codec_that_the_model_has_no_tables_for_is_refused_at_once() -> None:
    residual = next(codec for codec in CodecName if "residual" in codec.value)
    with pytest.raises(SettingError, match=residual.value):
        ImageEncoder(FakeModel(), FakeFeatures(), EncodingSettings(codec=residual))
