from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from training.toy import toy_network

from glyphseek.errors import CheckpointDamaged, SettingError
from glyphseek.models.checkpoint import WEIGHTS, Manifest, load_manifest, save_manifest
from glyphseek.models.loading import open_model
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.sequences import unit_vectors
from glyphseek.models.tdsl.settings import PRESETS, TINY_PYRAMID
from glyphseek.queries import Term
from glyphseek.training.annotated import is_held_out_photo
from glyphseek.training.packaging import (
    UNCALIBRATED,
    UNCALIBRATED_LETTERS,
    fit_calibration,
    fit_letters,
    package,
    resize,
)
from glyphseek.training.run import Progress, RunFolder
from glyphseek.types import Calibration


def write_run(folder: Path, network: Tdsl, parts: str) -> Path:
    """Write a finished run of a stage that trained `parts`."""
    run = RunFolder(folder)
    run.save(network, torch.optim.AdamW(network.parameters()), Progress(step=3, samples=24, seconds=1.5))
    (folder / "parts.txt").write_text(parts)
    (folder / "command.txt").write_text(f"glyphseek train {folder.name}\n")
    return folder


def finding_network() -> Tdsl:
    """Return a network of random weights that finds words in any photo."""
    network = toy_network()
    assert network.detector.heads.bias is not None
    with torch.no_grad():
        network.detector.heads.bias[0] = 1.0
    return network


def write_gallery(folder: Path) -> Path:
    """Write six annotated photos, all of the held-out fold."""
    names = [name for number in range(100) if is_held_out_photo(Path(name := f"{number}.png"))][:6]
    (folder / "images").mkdir(parents=True)
    lines: list[str] = []
    for name, word in zip(names, ("coffee", "open", "taxi") * 2, strict=True):
        pixels = np.full((64, 128, 3), 90, np.uint8)
        cv2.putText(pixels, word, (8, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2)
        cv2.imwrite(str(folder / "images" / name), pixels)
        items = [{"t": word, "poly": [[8, 18], [110, 18], [110, 44], [8, 44]]}]
        lines.append(json.dumps({"image": f"images/{name}", "items": items}))
    (folder / "boxes.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_the_fit_recovers_a_known_logistic_curve() -> None:
    rng = np.random.default_rng(0)
    similarities = rng.uniform(-0.2, 1.0, 60_000).astype(np.float32)
    present = rng.random(60_000) < 1 / (1 + np.exp(-(12.0 * similarities - 7.0)))

    fitted = fit_calibration(similarities, present)

    assert fitted.slope == pytest.approx(12.0, rel=0.05)
    assert fitted.offset == pytest.approx(-7.0, rel=0.05)
    assert fitted.threshold == 0.5


def test_letters_become_the_similarity_of_the_same_probability() -> None:
    rng = np.random.default_rng(1)
    logarithms = rng.uniform(-40, 0, 60_000).astype(np.float32)
    present = rng.random(60_000) < 1 / (1 + np.exp(-(0.5 * logarithms + 4.0)))
    calibration = Calibration(slope=20.0, offset=-13.0, threshold=0.5)

    fitted = fit_letters(logarithms, present, calibration)

    assert calibration.slope * fitted.slope == pytest.approx(0.5, rel=0.05)
    assert calibration.slope * fitted.offset + calibration.offset == pytest.approx(4.0, rel=0.05)


def test_a_preset_that_keeps_letters_gets_a_scale_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lettered = replace(TINY_PYRAMID, name="tdsl-tiny-letters", keeps_letters=True)
    monkeypatch.setitem(PRESETS, lettered.name, lettered)
    run = write_run(tmp_path / "joint", finding_network(), "pyramid detector image_sequence text_sequence ctc")
    truth = write_gallery(tmp_path / "truth")

    plain = package([run], tmp_path / "plain", preset="tdsl-tiny", held_out=[], data=[])
    guessed = package([run], tmp_path / "guessed", preset=lettered.name, held_out=[], data=[])
    fitted = package([run], tmp_path / "fitted", preset=lettered.name, held_out=[truth], data=[])

    assert plain.letters is None
    assert guessed.letters == UNCALIBRATED_LETTERS != fitted.letters
    assert plain.fingerprint != fitted.fingerprint
    assert fitted.letters is not None
    assert fitted.letters.slope >= 0
    assert open_model(str(tmp_path / "fitted")).card.letters == fitted.letters


def test_a_model_that_keeps_letters_needs_their_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lettered = replace(TINY_PYRAMID, name="tdsl-tiny-letters", keeps_letters=True)
    monkeypatch.setitem(PRESETS, lettered.name, lettered)
    run = write_run(tmp_path / "words", toy_network(), "text_sequence")
    save_manifest(
        tmp_path / "model",
        replace(package([run], tmp_path / "model", preset=lettered.name, held_out=[], data=[]), letters=None),
    )
    with pytest.raises(CheckpointDamaged, match="no scale of letters"):
        open_model(str(tmp_path / "model"))


def test_the_slope_is_never_negative() -> None:
    similarities = np.linspace(-1, 1, 200, dtype=np.float32)

    fitted = fit_calibration(similarities, similarities < 0)

    assert fitted.slope == 0
    assert fitted.offset == pytest.approx(0, abs=0.05)


def test_a_packaged_model_has_the_parts_of_its_runs_and_later_ones_win(tmp_path: Path) -> None:
    first, second = toy_network(seed=1), toy_network(seed=2)
    runs = [
        write_run(tmp_path / "words", first, "image_sequence text_sequence ctc"),
        write_run(tmp_path / "joint", second, "pyramid detector text_sequence"),
    ]

    manifest = package(runs, tmp_path / "model", preset="tdsl-tiny", held_out=[], data=["two toy runs"])

    model = open_model(str(tmp_path / "model"))
    assert model.card.fingerprint == manifest.fingerprint
    found = model.encode_terms([Term(text="coffee")])[0].vectors_VD
    with torch.inference_mode():
        wanted = unit_vectors(second.text_sequence(["coffee"])).numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_the_manifest_says_where_the_weights_come_from(tmp_path: Path) -> None:
    run = write_run(tmp_path / "words", toy_network(), "text_sequence")

    package([run], tmp_path / "model", preset="tdsl-tiny", held_out=[], data=["rendered crops"])

    manifest = load_manifest(tmp_path / "model")
    assert manifest.name == open_model(str(tmp_path / "model")).card.name == "model"
    assert manifest.preset["name"] == "tdsl-tiny"
    assert manifest.commands == ["glyphseek train words"]
    assert manifest.stages[0]["step"] == 3
    assert manifest.stages[0]["run"] == "words"
    assert manifest.data == ["rendered crops"]
    assert manifest.parameters == sum(p.numel() for p in toy_network().parameters())
    assert manifest.calibration == UNCALIBRATED


def test_scores_are_calibrated_on_held_out_photos(tmp_path: Path) -> None:
    network = toy_network()
    assert network.detector.heads.bias is not None
    with torch.no_grad():
        network.detector.heads.bias[0] = 1.0
    run = write_run(tmp_path / "joint", network, "pyramid detector image_sequence text_sequence ctc")

    manifest = package(
        [run], tmp_path / "model", preset="tdsl-tiny", held_out=[write_gallery(tmp_path / "truth")], data=[]
    )

    assert manifest.calibration != UNCALIBRATED
    assert manifest.calibration.slope >= 0
    assert np.isfinite([manifest.calibration.slope, manifest.calibration.offset]).all()


def test_tampered_weights_are_refused(tmp_path: Path) -> None:
    package(
        [write_run(tmp_path / "run", toy_network(), "text_sequence")],
        tmp_path / "model",
        preset="tdsl-tiny",
        held_out=[],
        data=[],
    )
    weights = tmp_path / "model" / WEIGHTS
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(data)

    with pytest.raises(CheckpointDamaged, match="SHA-256"):
        open_model(str(tmp_path / "model"))


def test_a_run_without_state_cannot_be_packaged(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "parts.txt").write_text("ctc")

    with pytest.raises(CheckpointDamaged, match="no readable training state"):
        package([tmp_path / "run"], tmp_path / "model", preset="tdsl-tiny", held_out=[], data=[])


def package_finder(folder: Path) -> Manifest:
    run = write_run(folder.parent / "joint", finding_network(), "pyramid detector image_sequence text_sequence ctc")
    return package([run], folder, preset="tdsl-tiny", held_out=[], data=["a toy run"])


def test_a_copy_reads_photos_at_another_size_with_the_same_weights(tmp_path: Path) -> None:
    source = package_finder(tmp_path / "small")
    save_manifest(tmp_path / "small", replace(source, figures=[{"map_percent": 1.0}]))

    copied = resize(str(tmp_path / "small"), tmp_path / "large", longer_side=640, also_at=[320])

    assert (copied.name, copied.figures, copied.data) == ("large", [], ["a toy run"])
    assert copied.weights_sha256 == source.weights_sha256
    assert copied.fingerprint != source.fingerprint
    assert copied.calibration == source.calibration
    sizes = {name: copied.preset[name] for name in ("longer_side", "detector_longer_side", "extra_longer_sides")}
    assert sizes == {"longer_side": 640, "detector_longer_side": 640, "extra_longer_sides": [320]}
    assert open_model(str(tmp_path / "large")).card.longer_side == 640


def test_a_copy_is_calibrated_at_its_size(tmp_path: Path) -> None:
    source = package_finder(tmp_path / "small")
    gallery = write_gallery(tmp_path / "gallery")

    copied = resize(str(tmp_path / "small"), tmp_path / "large", longer_side=96, held_out=[gallery])

    assert copied.calibration != source.calibration == UNCALIBRATED


def test_a_copy_is_not_written_over_the_model_and_is_of_tdsl(tmp_path: Path) -> None:
    source = package_finder(tmp_path / "small")
    with pytest.raises(SettingError, match="is the model itself"):
        resize(str(tmp_path / "small"), tmp_path / "small", longer_side=96)
    save_manifest(tmp_path / "small", replace(source, method="cayn"))
    with pytest.raises(SettingError, match="of the method cayn"):
        resize(str(tmp_path / "small"), tmp_path / "large", longer_side=96)
