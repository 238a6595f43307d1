"""The model that ships: its codebook packs and opens every codec."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli.command_line import glyphseek

from glyphseek.evaluation.codec_table import TokenModel
from glyphseek.models.checkpoint import load_manifest
from glyphseek.models.loading import find_model, open_model
from glyphseek.ports import TokenScorer
from glyphseek.tokens import CodecName, open_tokens, pack
from glyphseek.types import FloatArray, ImageFeatures, RgbImage

NAME = "glyphseek/cayn-small"
WORDS = ("coffee", "hotel", "exit", "taxi")


def draw_sign(word: str) -> RgbImage:
    """Return a picture of the word that goes over several cells of the token map."""
    pixels = np.full((480, 640, 3), (90, 110, 140), np.uint8)
    cv2.rectangle(pixels, (20, 140), (620, 340), (25, 30, 60), -1)
    cv2.putText(pixels, word, (60, 290), cv2.FONT_HERSHEY_DUPLEX, 4.0, (240, 240, 240), 10, cv2.LINE_AA)
    return pixels


@pytest.fixture(scope="module", name="model")
def model_fixture() -> TokenModel:
    model = open_model(NAME)
    assert isinstance(model, TokenScorer)
    return model


@pytest.fixture(scope="module", name="photos")
def photos_fixture(model: TokenModel) -> list[ImageFeatures]:
    return [model.encode_images([model.prepare(draw_sign(word))])[0] for word in WORDS]


@pytest.mark.parametrize(
    ("codec", "least_cosine", "largest_empty"),
    [
        (CodecName.FP32, 0.92, 0.05),
        (CodecName.FP16, 0.92, 0.05),
        (CodecName.INT8, 0.92, 0.05),
        (CodecName.RESIDUAL4, 0.92, 0.1),
        (CodecName.RESIDUAL2, 0.88, 0.4),
    ],
)
def test_every_codec_goes_round_with_the_shipped_codebook(
    model: TokenModel, photos: list[ImageFeatures], codec: CodecName, least_cosine: float, largest_empty: float
) -> None:
    fingerprint, codebook = model.card.fingerprint, model.codebook
    cosines: list[FloatArray] = []
    for photo in photos:
        assert photo.token_map is not None
        blob = pack(photo, codec=codec, fingerprint=fingerprint, codebook=codebook)
        found = open_tokens(blob, fingerprint=fingerprint, codebook=codebook)
        tokens_NE, decoded_NE = photo.token_map.tokens_HWE.reshape(-1, found.shape[2]), found.decode()
        has_word_N = tokens_NE.any(axis=1)
        norms_N = np.linalg.norm(decoded_NE, axis=1)
        assert norms_N[~has_word_N].max() < largest_empty
        cosines.append(((tokens_NE * decoded_NE).sum(axis=1) / norms_N)[has_word_N])  # tokens have unit norm
    assert np.mean(np.concatenate(cosines)) > least_cosine


def test_the_shipped_codebook_narrows_tokens_and_is_small(model: TokenModel) -> None:
    assert model.codebook is not None
    assert model.codebook.stored_width < model.codebook.token_width == 768
    assert (find_model(NAME) / "codebook.safetensors").stat().st_size < 1_000_000


def test_codebook_and_depth_leave_the_fingerprint_as_it_was() -> None:
    manifest = load_manifest(find_model(NAME))
    bare = replace(manifest, codebook_sha256=None, rerank_depth=None)
    assert manifest.codebook_sha256 is not None
    assert manifest.rerank_depth is not None
    assert manifest.fingerprint == bare.fingerprint


@pytest.mark.parametrize("codec", ["residual4", "residual2", "int8"])
def test_a_gallery_of_any_codec_is_indexed_searched_and_verified_out_of_the_box(tmp_path: Path, codec: str) -> None:
    (tmp_path / "photos").mkdir()
    for word in WORDS:
        cv2.imwrite(str(tmp_path / "photos" / f"{word}.png"), draw_sign(word))
    gallery = tmp_path / "gallery"

    indexed = glyphseek("index", tmp_path / "photos", "--gallery", gallery, "--model", NAME, "--codec", codec)

    assert indexed.code == 0, indexed.err
    ended = glyphseek("search", "coffee", "--gallery", gallery, "--json")
    assert ended.code == 0, ended.err
    (answer,) = json.loads(ended.out)
    assert [hit["stages"] for hit in answer["hits"]] == [["recall", "rerank"]] * len(WORDS)
    assert answer["degraded"] == []
    assert glyphseek("verify", "--gallery", gallery).code == 0
