"""The codecs' bounds on tokens that a trained network gives: cells of the shipped model's feature maps, at unit norm.

Drawn signs always; photos of the folder that the environment variable GLYPHSEEK_PHOTOS names, where it does.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tokens.makers import MODEL

from glyphseek.images import read_image
from glyphseek.models.checkpoint import load_manifest, load_weights
from glyphseek.models.loading import find_model
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import restore_settings
from glyphseek.tokens import CodecName, TokenCodebook, open_tokens, pack, residual
from glyphseek.tokens.fitting import FitSettings, fit_codebook
from glyphseek.types import FloatArray, ImageFeatures, RgbImage, TokenMap

PHOTOS = os.environ.get("GLYPHSEEK_PHOTOS", "")
STRIDE = 16
FITTED, TRIED = 6, 4


def draw_sign(number: int) -> RgbImage:
    """Return a picture of a few words on a slope of colours."""
    random = np.random.default_rng(number)
    slope = np.linspace(0, 80, 384)[None, :, None] * random.random(3)
    pixels = np.broadcast_to(slope + random.integers(0, 120, 3), (256, 384, 3)).astype(np.uint8).copy()
    for line, word in enumerate(("coffee", "hotel", "exit", "taxi")):
        place = (int(random.integers(0, 150)), 50 + 60 * line)
        colour = random.integers(150, 256, 3).tolist()
        cv2.putText(pixels, word, place, cv2.FONT_HERSHEY_SIMPLEX, float(random.uniform(0.7, 1.8)), colour, 3)
    return pixels


def read_photos() -> list[RgbImage]:
    """Return real photos at 384 pixels."""
    paths = sorted(Path(PHOTOS).rglob("*.jpg"))[: FITTED + TRIED]
    small = [cv2.resize(read_image(path.read_bytes()), (384, 256), interpolation=cv2.INTER_AREA) for path in paths]
    return [np.asarray(one, dtype=np.uint8) for one in small]


@pytest.fixture(scope="module")
def network() -> Tdsl:
    folder = find_model("glyphseek/tdsl-small")
    manifest = load_manifest(folder)
    network = Tdsl(restore_settings(manifest.preset))
    network.load_state_dict(load_weights(folder, manifest))
    return network.eval()


@pytest.fixture(
    scope="module",
    params=[
        "drawn",
        pytest.param("photos", marks=pytest.mark.skipif(not PHOTOS, reason="GLYPHSEEK_PHOTOS names no folder")),
    ],
)
def maps(request: pytest.FixtureRequest, network: Tdsl) -> list[FloatArray]:
    """Return the token maps (H, W, E) of ten pictures."""
    images = read_photos() if request.param == "photos" else [draw_sign(n) for n in range(FITTED + TRIED)]
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        level = network.levels(network.normalize(pixels))[STRIDE]
    return list(torch.nn.functional.normalize(level, dim=1).permute(0, 2, 3, 1).contiguous().numpy())


def flatten(maps: list[FloatArray]) -> FloatArray:
    return np.concatenate([one.reshape(-1, one.shape[2]) for one in maps])


def round_trip(tokens_HWE: FloatArray, codec: CodecName, codebook: TokenCodebook | None) -> FloatArray:
    likelihood = np.ones(tokens_HWE.shape[:2], dtype=np.float32)
    features = ImageFeatures(token_map=TokenMap(tokens_HWE=tokens_HWE, text_likelihood_HW=likelihood))
    blob = pack(features, codec=codec, fingerprint=MODEL, codebook=codebook)
    return open_tokens(blob, fingerprint=MODEL, codebook=codebook).decode()


@pytest.mark.parametrize(("codec", "bound"), [(CodecName.FP32, 0.0), (CodecName.FP16, 1e-3), (CodecName.INT8, 0.02)])
def test_plain_codecs_hold_their_bound_for_unit_tokens(maps: list[FloatArray], codec: CodecName, bound: float) -> None:
    for one in maps[FITTED:]:
        assert np.linalg.norm(round_trip(one, codec, None) - flatten([one]), axis=1).max() <= bound


@pytest.mark.parametrize(("bits", "codec", "share"), [(4, CodecName.RESIDUAL4, 0.2), (2, CodecName.RESIDUAL2, 0.5)])
def test_residual_codes_hold_their_bound_on_pictures_that_were_not_fitted(
    maps: list[FloatArray], bits: int, codec: CodecName, share: float
) -> None:
    codebook = fit_codebook(flatten(maps[:FITTED]))
    centroids_CP, values_PB = codebook.residual_tables(bits)
    for one in maps[FITTED:]:
        tokens = flatten([one])
        error = np.abs(round_trip(one, codec, codebook) - tokens)
        assert (error <= residual.largest_error(tokens, centroids_CP, values_PB) + 1e-6).all()
        left = tokens - centroids_CP[residual.nearest_centroids(tokens, centroids_CP)]
        assert np.square(error).mean() <= share**2 * np.square(left).mean()


def test_a_projection_to_half_the_width_keeps_dot_products_of_real_tokens(maps: list[FloatArray]) -> None:
    width = maps[0].shape[2]
    codebook = fit_codebook(flatten(maps[:FITTED]), FitSettings(stored_width=width // 2, centroids=0))
    others = flatten(maps[:1])
    for one in maps[FITTED:]:
        exact = flatten([one]) @ others.T
        found = round_trip(one, CodecName.INT8, codebook) @ others.T
        assert np.abs(found - exact).mean() < 0.02
