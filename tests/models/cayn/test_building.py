"""From settings to networks, published backbones among them; weights are random, their sizes are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from models.cayn.toy import random_image

from glyphseek.errors import ModelNotFound, SettingError
from glyphseek.models.cayn.building import build_network, load_network
from glyphseek.models.cayn.encoder import CaynEncoder, make_card
from glyphseek.models.cayn.head import MatchHead
from glyphseek.models.cayn.letterbox import letterbox
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.objective import training_terms
from glyphseek.models.cayn.settings import RN50, TINY_DENSE, LossSettings, find_preset
from glyphseek.models.cayn.vpa import VisualPositionAdapter
from glyphseek.queries import Term, TermKind
from glyphseek.types import Calibration

WORDS = ["open", "exit"]


def count(*parts: torch.nn.Module) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())


@pytest.mark.parametrize(
    ("preset", "clip", "width", "joint", "published"),
    [
        ("cayn-rn50", 102_007_137, 2048, 1024, 102.21),
        ("cayn-rn50x4", 178_300_601, 2560, 640, 178.62),
        ("cayn-rn50x16", 290_979_217, 3072, 768, 291.43),
    ],
)
def test_whole_models_have_the_published_sizes(
    preset: str, clip: int, width: int, joint: int, published: float
) -> None:
    settings = find_preset(preset)
    added = count(VisualPositionAdapter(width, settings.vpa_reduction), MatchHead(joint, settings.findings))

    assert (clip + added) / 1e6 == pytest.approx(published, abs=0.01)


@pytest.fixture(scope="module")
def network() -> Cayn:
    pytest.importorskip("open_clip", reason="needs the extra `clip`")
    torch.manual_seed(0)
    return build_network(RN50)


def test_a_published_backbone_is_frozen_and_its_adapter_fits(network: Cayn) -> None:
    assert network.vpa is not None
    assert network.head is not None
    assert count(network.backbone) == 102_007_137
    assert count(network.vpa, network.head) == sum(p.numel() for p in network.parameters() if p.requires_grad)


def test_gradients_reach_adapter_and_head_of_a_published_backbone_alone(network: Cayn) -> None:
    network.train()
    images = network.encode_images(*letterbox([random_image(64, 96), random_image(64, 64, 1)], multiple=32))
    terms = training_terms(
        network, network.encode_texts(WORDS), images, WORDS, [{w} for w in WORDS], LossSettings(), torch.Generator()
    )
    torch.stack(list(terms.values())).sum().backward()

    assert not network.backbone.training
    reached = {name for name, p in network.named_parameters() if p.grad is not None}
    assert reached == {name for name, _ in network.named_parameters() if not name.startswith("backbone.")}


def test_a_published_backbone_answers_meaning(network: Cayn) -> None:
    card = make_card(network, "rn50", "0" * 32, calibration=Calibration(slope=1, offset=0, threshold=0.5))
    encoder = CaynEncoder(network, card)

    features = encoder.encode_images([random_image(40, 90)])[0]
    found = encoder.encode_terms([Term(text="a shop that sells bread", kind=TermKind.SEMANTIC)])[0]

    assert features.token_map is not None
    assert features.token_map.tokens_HWE.shape == (2, 3, 1024)
    assert found.vectors_VD.shape == (1, 1024)
    assert found.tokens_TE is not None
    assert len(found.tokens_TE) == len(["start", "a", "shop", "that", "sells", "bread", "end"])


def test_published_weights_that_are_not_there_are_named() -> None:
    pytest.importorskip("open_clip", reason="needs the extra `clip`")
    with pytest.raises(ModelNotFound, match="nowhere"):
        load_network(RN50, "/nowhere/rn50.safetensors")


def test_our_own_backbone_has_no_published_weights() -> None:
    with pytest.raises(SettingError, match="no published weights"):
        load_network(replace(TINY_DENSE, name="mine"), "openai")
