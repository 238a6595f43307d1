from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cli.command_line import glyphseek
from models.cayn.test_loading import write_cayn
from models.cayn.toy import random_image, toy_network
from training.cayn.folders import many_photos, write_gallery

from glyphseek.models.loading import open_model
from glyphseek.ports import TokenScorer
from glyphseek.queries import Term
from glyphseek.tokens import CodecName, open_tokens, pack
from glyphseek.training.cayn.packaging import calibrate, encode_photos, match_all, open_encoder, package_cayn
from glyphseek.training.cayn.photos import read_word_photos
from glyphseek.training.packaging import UNCALIBRATED
from glyphseek.training.recipe import Recipe, run_recipe
from glyphseek.training.run import RunFolder


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    return write_gallery(tmp_path / "gallery", many_photos(40))


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    write_cayn(tmp_path / "backbone", toy_network())
    return tmp_path / "backbone"


@pytest.fixture
def run(tmp_path: Path, gallery: Path, backbone: Path) -> Path:
    recipe = Recipe(
        stage="adapter",
        run=tmp_path / "run",
        preset="cayn-tiny-dense",
        steps=2,
        batch=8,
        real=(gallery,),
        weights=str(backbone),
        save_every=2,
        set=("directions=text", "itm_weight=2"),
    )
    run_recipe(recipe, report=lambda row: None)
    return recipe.run


def test_a_packaged_model_has_the_backbone_and_what_the_run_trained(
    tmp_path: Path, gallery: Path, backbone: Path, run: Path
) -> None:
    manifest = package_cayn(
        tmp_path / "out", preset="cayn-tiny-dense", weights=str(backbone), runs=[run], held_out=[gallery]
    )

    model = open_model(str(tmp_path / "out"))
    assert model.card.fingerprint == manifest.fingerprint
    assert model.card.rerank_calibration == manifest.rerank_calibration
    assert manifest.preset["directions"] == "text"  # as the run was trained, not as the preset has it
    assert manifest.commands == [(run / "command.txt").read_text().strip()]
    kept = model._network.state_dict()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    for name, value in RunFolder(run).weights().items():
        inside = name if name in kept else f"backbone.attention_pool.{name}"
        torch.testing.assert_close(kept[inside], value, atol=1e-3, rtol=1e-3, check_dtype=False)
    frozen = {n: v for n, v in toy_network().backbone.state_dict().items() if ".attention." not in n}
    assert frozen
    for name, value in frozen.items():
        torch.testing.assert_close(kept[f"backbone.{name}"], value, atol=1e-3, rtol=1e-3)


def test_without_a_run_the_model_is_zero_shot_and_reranks_by_cosines(tmp_path: Path, backbone: Path) -> None:
    manifest = package_cayn(tmp_path / "out", preset="cayn-tiny-dense", weights=str(backbone))

    model = open_model(str(tmp_path / "out"))
    assert isinstance(model, TokenScorer)
    assert manifest.name == "out"
    assert manifest.preset["name"] == "cayn-tiny-dense-zero-shot"
    assert manifest.parameters == sum(p.numel() for p in toy_network().backbone.parameters())
    features = model.encode_images([random_image(64, 64)])[0]
    fingerprint = model.card.fingerprint
    stored = open_tokens(pack(features, codec=CodecName.INT8, fingerprint=fingerprint), fingerprint=fingerprint)
    found = model.score_maps(model.encode_terms([Term(text="open")]), [stored], with_attention=True)
    assert 0 < float(found.probabilities_TK[0, 0]) < 1


@pytest.mark.parametrize("depth", [5, 32])
def test_calibrated_scores_are_as_often_right_as_they_say(gallery: Path, depth: int) -> None:
    network = toy_network()

    calibration, rerank_calibration = calibrate(network, [gallery], depth)

    assert rerank_calibration is not None
    encoder = open_encoder(network, calibration)
    data = encode_photos(encoder, read_word_photos(gallery, held_out=True))
    vectors = np.stack([one.global_vector_D for one in data.maps if one.global_vector_D is not None])
    cosines = np.concatenate([term.vectors_VD for term in data.terms]) @ vectors.T
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :depth]
    fused = np.take_along_axis(cosines + match_all(encoder, data), best, 1)
    reranked = np.take_along_axis(data.relevant_TK, best, 1)
    # The offset of largest likelihood makes the mean of what is told equal to the share of what is true.
    for scores, curve, truth in (
        (cosines, calibration, data.relevant_TK),
        (fused, rerank_calibration, reranked),
    ):
        told = 1 / (1 + np.exp(-(curve.slope * scores + curve.offset)))
        assert float(told.mean()) == pytest.approx(float(truth.mean()), abs=1e-3)


def test_without_photos_the_curve_is_a_guess() -> None:
    assert calibrate(toy_network(), [], 32) == (UNCALIBRATED, None)


def test_the_command_packages_a_model_of_weights_and_run(tmp_path: Path, backbone: Path, run: Path) -> None:
    done = glyphseek(
        "package",
        tmp_path / "out",
        "--preset",
        "cayn-tiny-dense",
        "--weights",
        backbone,
        "--run",
        run,
        "--data",
        "toy photos",
    )

    assert done.code == 0, done.err
    assert open_model(str(tmp_path / "out")).card.name == "out"


def test_the_command_needs_runs_or_weights(tmp_path: Path) -> None:
    refused = glyphseek("package", tmp_path / "out")

    assert refused.code != 0
    assert "--weights" in refused.err
