"""From a network through a folder on disk to a model."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from models.cayn.toy import random_image, toy_network

from glyphseek.errors import CheckpointDamaged
from glyphseek.models.cayn.encoder import CaynEncoder, make_card
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.checkpoint import MANIFEST, Manifest, save_checkpoint, save_manifest
from glyphseek.models.loading import open_model
from glyphseek.queries import Term
from glyphseek.types import Calibration

CALIBRATION = Calibration(slope=10, offset=-5, threshold=0.5)
RERANK_CALIBRATION = Calibration(slope=3, offset=-2, threshold=0.4)


def write_cayn(folder: Path, network: Cayn) -> Manifest:
    """Write a model folder of the network and return its manifest."""
    for parameter in network.parameters():
        parameter.data = parameter.data.half().float()  # what the folder holds
    manifest = Manifest(
        name=network.settings.name,
        method="cayn",
        preset=json.loads(json.dumps(asdict(network.settings))),
        weights_sha256=save_checkpoint(folder, network.state_dict()),
        parameters=sum(p.numel() for p in network.parameters()),
        licence="Apache-2.0",
        calibration=CALIBRATION,
        commands=[],
        data=[],
        stages=[],
        rerank_calibration=RERANK_CALIBRATION,
        rerank_depth=48,
    )
    save_manifest(folder, manifest)
    return manifest


def test_a_model_from_disk_gives_the_features_of_the_one_that_was_saved(tmp_path: Path) -> None:
    network = toy_network()
    manifest = write_cayn(tmp_path, network)

    model = open_model(str(tmp_path))

    saved = CaynEncoder(network, make_card(network, "saved", "0" * 32, calibration=CALIBRATION))
    image = random_image(64, 96)
    ours, theirs = saved.encode_images([image])[0], model.encode_images([image])[0]
    assert ours.global_vector_D is not None
    assert ours.token_map is not None
    assert theirs.global_vector_D is not None
    assert theirs.token_map is not None
    np.testing.assert_allclose(theirs.global_vector_D, ours.global_vector_D, atol=1e-4)
    np.testing.assert_allclose(theirs.token_map.tokens_HWE, ours.token_map.tokens_HWE, atol=1e-4)
    asked = [Term(text="open")]
    np.testing.assert_allclose(
        model.encode_terms(asked)[0].vectors_VD, saved.encode_terms(asked)[0].vectors_VD, atol=1e-6
    )
    assert model.card.fingerprint == manifest.fingerprint
    assert model.card.rerank_calibration == RERANK_CALIBRATION
    assert model.card.rerank_depth == 48


def test_weights_of_other_sizes_are_refused(tmp_path: Path) -> None:
    write_cayn(tmp_path, toy_network())
    values = json.loads((tmp_path / MANIFEST).read_text())
    values["preset"]["vpa_reduction"] = 2
    (tmp_path / MANIFEST).write_text(json.dumps(values))

    with pytest.raises(CheckpointDamaged, match="size mismatch"):
        open_model(str(tmp_path))
