from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from models.cayn.test_loading import write_cayn
from models.cayn.toy import toy_network
from training.cayn.folders import many_photos, write_gallery

from glyphseek.errors import CheckpointDamaged, InputError, ModelNotFound, SettingError
from glyphseek.models.cayn.building import build_network
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.settings import TINY_DENSE
from glyphseek.training.cayn.building import build_adapter_stage
from glyphseek.training.cayn.stage import AdapterStageSettings, TextCache, Trainee
from glyphseek.training.cayn.starting import start_network
from glyphseek.training.recipe import Recipe, run_recipe
from glyphseek.training.run import RunFolder


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    return write_gallery(tmp_path / "gallery", many_photos(40))


def recipe_for(tmp_path: Path, gallery: Path, **changes: int) -> Recipe:
    return Recipe(
        stage="adapter",
        run=tmp_path / "run",
        preset="cayn-tiny-dense",
        real=(gallery,),
        weights=str(tmp_path / "model"),
        **{"steps": 4, "batch": 12, "save_every": 2, "validate_every": 4, **changes},  # pyright: ignore[reportArgumentType]
    )


def test_the_stage_runs_from_its_recipe_and_goes_on_where_it_stopped(tmp_path: Path, gallery: Path) -> None:
    write_cayn(tmp_path / "model", toy_network())
    rows: list[dict[str, float]] = []

    run_recipe(recipe_for(tmp_path, gallery), report=rows.append)
    ended = run_recipe(recipe_for(tmp_path, gallery, steps=6), report=rows.append)

    assert (ended.step, ended.samples) == (6, 72)
    assert {"recall_map", "rerank_map"} <= rows[-1].keys()
    weights = RunFolder(tmp_path / "run").weights()
    assert {name.split(".")[0] for name in weights} == {"vpa", "head", "attention"}
    assert (tmp_path / "run" / "parts.txt").read_text() == "vpa head attention"


def test_training_raises_retrieval_of_held_out_photos(tmp_path: Path, gallery: Path) -> None:
    torch.manual_seed(3)
    write_cayn(tmp_path / "model", build_network(TINY_DENSE))
    rows: list[dict[str, float]] = []

    for steps in (1, 200):
        run_recipe(recipe_for(tmp_path, gallery, steps=steps, validate_every=200, save_every=200), report=rows.append)

    assert rows[-1]["rerank_map"] > rows[0]["rerank_map"] + 10
    assert rows[-1]["rerank_map"] > 70


def stage_of(network: Cayn, gallery: Path, cache: Path, batch: int = 12):  # noqa: ANN201
    return build_adapter_stage(network, [gallery], cache, AdapterStageSettings(batch=batch))


def test_a_step_trains_adapter_and_head_alone(tmp_path: Path, gallery: Path) -> None:
    network = toy_network()
    trainee, stage, _ = stage_of(network, gallery, tmp_path / "tokens")

    terms = stage.loss(trainee, 0, np.random.default_rng(0))
    torch.stack(list(terms.values())).sum().backward()

    assert terms.keys() == {"itc", "itm"}
    reached = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert reached == {"vpa", "head"}


def test_the_same_step_draws_the_same_batch(tmp_path: Path, gallery: Path) -> None:
    trainee, stage, _ = stage_of(toy_network(), gallery, tmp_path / "tokens")

    one, again, other = (
        float(stage.loss(trainee, step, np.random.default_rng([0, step]))["itm"].detach()) for step in (1, 1, 2)
    )

    assert one == again
    assert one != other


def test_a_batch_is_never_larger_than_the_samples(tmp_path: Path) -> None:
    gallery = write_gallery(tmp_path / "few", {"photo0.png": ["open"], "photo1.png": ["exit"], "photo3.png": ["cafe"]})
    trainee, stage, _ = stage_of(toy_network(), gallery, tmp_path / "tokens", batch=48)

    assert np.isfinite(float(stage.loss(trainee, 0, np.random.default_rng(0))["itc"].detach()))


def test_too_little_to_train_on_is_refused(tmp_path: Path) -> None:
    gallery = write_gallery(tmp_path / "few", {"photo0.png": ["open"]})

    with pytest.raises(InputError, match="words to train on"):
        stage_of(toy_network(), gallery, tmp_path / "tokens")


def test_cached_words_are_those_of_the_text_tower() -> None:
    network = toy_network()
    texts = TextCache(network)
    texts.read(["restaurant"])

    found = texts.read(["open", "restaurant", "open"])

    with torch.no_grad():
        expected = network.encode_texts(["open", "restaurant", "open"])
    torch.testing.assert_close(found.global_QE, expected.global_QE)
    assert torch.equal(found.is_padding_QT, expected.is_padding_QT)
    kept = ~found.is_padding_QT
    torch.testing.assert_close(found.tokens_QTE[kept], expected.tokens_QTE[kept])


def test_a_trainee_holds_what_is_trained_and_not_the_backbone() -> None:
    network = toy_network()

    trainee = Trainee(network)

    assert trainee.whole is network
    assert {name.split(".")[0] for name in trainee.state_dict()} == {"vpa", "head", "attention"}


def test_the_backbone_comes_from_a_model_or_a_run(tmp_path: Path, gallery: Path) -> None:
    network = toy_network(seed=5)
    write_cayn(tmp_path / "model", network)

    started = start_network(TINY_DENSE, str(tmp_path / "model"))

    for name, value in started.backbone.state_dict().items():
        torch.testing.assert_close(value, network.backbone.state_dict()[name], atol=1e-3, rtol=1e-3)
    with pytest.raises(ModelNotFound, match="neither a packaged model nor a training run"):
        start_network(TINY_DENSE, str(gallery))
    run_recipe(recipe_for(tmp_path, gallery), report=lambda row: None)
    with pytest.raises(CheckpointDamaged, match="does not hold the backbone"):
        start_network(TINY_DENSE, str(tmp_path / "run"))


def test_the_stage_asks_for_a_backbone(tmp_path: Path, gallery: Path) -> None:
    recipe = Recipe(stage="adapter", run=tmp_path / "run", preset="cayn-tiny-dense", steps=1, real=(gallery,))

    with pytest.raises(SettingError, match="--weights"):
        run_recipe(recipe, report=lambda row: None)
