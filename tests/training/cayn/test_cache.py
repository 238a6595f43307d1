from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from models.cayn.toy import toy_network
from training.cayn.folders import paint

from glyphseek.errors import ImageUnreadable
from glyphseek.models.cayn.encoder import CaynEncoder, make_card
from glyphseek.models.cayn.settings import TINY_DENSE
from glyphseek.training.annotated import read_pixels
from glyphseek.training.cayn.cache import TokenCache, hash_backbone, stack_tokens
from glyphseek.types import Calibration


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path, (width, height) in zip(paths, [(96, 64), (50, 33), (300, 200)], strict=True):
        paint(path, ["open", "cafe"], width=width, height=height)
    return paths


def test_cached_tokens_give_the_features_of_the_encoder(tmp_path: Path, photos: list[Path]) -> None:
    network = toy_network()
    cache = TokenCache(tmp_path / "tokens", network)
    card = make_card(network, "toy", "0" * 32, calibration=Calibration(slope=1, offset=0, threshold=0.5))
    encoder = CaynEncoder(network, card)

    with torch.no_grad():
        found = network.encode_tokens(*stack_tokens([cache.read(photo) for photo in photos]))

    for index, photo in enumerate(photos):
        features = encoder.encode_images([encoder.prepare(read_pixels(photo))])[0]
        assert features.global_vector_D is not None
        assert features.token_map is not None
        assert found.global_BE[index].numpy() == pytest.approx(features.global_vector_D, abs=5e-3)
        own = found.local_BNE[index][~found.is_padding_BN[index]].numpy()
        assert own == pytest.approx(features.token_map.tokens_HWE.reshape(own.shape), abs=2e-2)


def test_the_trunk_runs_once_a_photo(tmp_path: Path, photos: list[Path]) -> None:
    network = toy_network()
    first = [TokenCache(tmp_path / "tokens", network).read(photo) for photo in photos]
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "tokens").rglob("*.safetensors")}

    again = [TokenCache(tmp_path / "tokens", network).read(photo) for photo in photos]

    assert len(written) == 3
    assert {path: path.stat().st_mtime_ns for path in written} == written
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.tokens_HWC, other.tokens_HWC)
        assert (one.rows, one.columns) == (other.rows, other.columns)


def test_a_file_that_a_crash_left_behind_is_written_anew(tmp_path: Path, photos: list[Path]) -> None:
    cache = TokenCache(tmp_path / "tokens", toy_network())
    before = cache.read(photos[0])
    place = next((tmp_path / "tokens").rglob("*.safetensors"))
    place.write_bytes(place.read_bytes()[:50])

    assert torch.equal(cache.read(photos[0]).tokens_HWC, before.tokens_HWC)
    assert place.stat().st_size > 50


def test_tokens_of_another_backbone_are_not_read() -> None:
    network = toy_network()

    assert hash_backbone(network) == hash_backbone(toy_network())
    assert hash_backbone(network) != hash_backbone(toy_network(seed=1))
    small = TINY_DENSE.dense
    assert small is not None
    larger = replace(TINY_DENSE, dense=replace(small, longer_side=512))
    assert hash_backbone(network) != hash_backbone(toy_network(larger))


def test_adapter_and_head_do_not_change_the_backbones_hash() -> None:
    network = toy_network()
    before = hash_backbone(network)
    assert network.vpa is not None
    torch.nn.init.ones_(network.vpa.reduce.weight)

    assert hash_backbone(network) == before


def test_attention_that_is_yet_to_be_trained_does_not_change_the_backbones_hash() -> None:
    network = toy_network()
    before = hash_backbone(network)
    attention = network.backbone.trainable_attention()
    assert attention is not None
    for value in attention.parameters():
        torch.nn.init.ones_(value)

    assert hash_backbone(network) == before


def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not a picture")

    with pytest.raises(ImageUnreadable, match=r"broken\.png"):
        TokenCache(tmp_path / "tokens", toy_network()).read(tmp_path / "broken.png")
