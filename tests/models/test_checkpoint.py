from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glyphseek.errors import CheckpointDamaged, ModelNotFound
from glyphseek.models.checkpoint import (
    MANIFEST,
    WEIGHTS,
    Manifest,
    hash_file,
    load_manifest,
    load_weights,
    save_checkpoint,
    save_manifest,
)
from glyphseek.types import Calibration

TENSORS = {"weight": torch.tensor([[1.0, 0.1], [-2.5, 1e-4]]), "steps": torch.tensor([3, 70_000])}


def write(folder: Path) -> Manifest:
    manifest = Manifest(
        name="toy",
        method="tdsl",
        preset={"steps": 15, "level_limits": [64, 128]},
        weights_sha256=save_checkpoint(folder, TENSORS),
        parameters=4,
        licence="Apache-2.0",
        calibration=Calibration(slope=10.0, offset=-7.0, threshold=0.5),
        commands=["glyphseek train words"],
        data=["rendered words"],
        stages=[{"step": 1}],
    )
    save_manifest(folder, manifest)
    return manifest


def test_floating_tensors_are_kept_as_fp16_and_others_as_they_are(tmp_path: Path) -> None:
    write(tmp_path)

    kept = load_file(tmp_path / WEIGHTS)

    assert kept["weight"].dtype == torch.float16
    assert torch.equal(kept["steps"], TENSORS["steps"])


def test_weights_come_back_as_fp32_within_half_precision(tmp_path: Path) -> None:
    manifest = write(tmp_path)

    loaded = load_weights(tmp_path, manifest)

    assert loaded["weight"].dtype == torch.float32
    assert torch.equal(loaded["weight"], TENSORS["weight"].half().float())
    torch.testing.assert_close(loaded["weight"], TENSORS["weight"], rtol=2**-11, atol=2**-25)


def test_a_manifest_survives_its_file(tmp_path: Path) -> None:
    manifest = write(tmp_path)

    assert load_manifest(tmp_path) == manifest
    assert manifest.weights_sha256 == hash_file(tmp_path / WEIGHTS)


def test_the_fingerprint_follows_method_settings_and_weights_alone(tmp_path: Path) -> None:
    manifest = write(tmp_path)

    assert len(manifest.fingerprint) == 32
    assert set(manifest.fingerprint) <= set("0123456789abcdef")
    assert replace(manifest, name="other", data=[], figures=[{"map": 1}]).fingerprint == manifest.fingerprint
    changes = (
        replace(manifest, method="cayn"),
        replace(manifest, preset={"steps": 16, "level_limits": [64, 128]}),
        replace(manifest, weights_sha256="0" * 64),
    )
    assert len({manifest.fingerprint, *(changed.fingerprint for changed in changes)}) == 4


def test_one_flipped_bit_of_the_weights_is_refused_with_both_hashes(tmp_path: Path) -> None:
    manifest = write(tmp_path)
    data = bytearray((tmp_path / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(data)

    with pytest.raises(CheckpointDamaged, match=manifest.weights_sha256) as refused:
        load_weights(tmp_path, manifest)

    assert hash_file(tmp_path / WEIGHTS) in str(refused.value)


def test_a_file_of_the_right_hash_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    manifest = write(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"not tensors")

    with pytest.raises(CheckpointDamaged, match=WEIGHTS):
        load_weights(tmp_path, replace(manifest, weights_sha256=hash_file(tmp_path / WEIGHTS)))


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    manifest = write(tmp_path)
    (tmp_path / WEIGHTS).unlink()

    with pytest.raises(CheckpointDamaged, match="is missing"):
        load_weights(tmp_path, manifest)


def test_a_folder_without_manifest_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=str(tmp_path)):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"calibration": {"slope": 1}}', '{"calibration": 3}'],
    ids=["cut off", "a list", "empty", "half a calibration", "a number for a calibration"],
)
def test_what_does_not_read_as_a_manifest_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)

    with pytest.raises(CheckpointDamaged, match=MANIFEST):
        load_manifest(tmp_path)


def test_an_unknown_field_of_a_manifest_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    values = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**values, "surprise": 1}))

    with pytest.raises(CheckpointDamaged, match="surprise"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("depth", [-1, 2.5, "many"])
def test_a_depth_of_reranking_that_is_no_count_is_refused(tmp_path: Path, depth: object) -> None:
    write(tmp_path)
    values = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(values | {"rerank_depth": depth}))
    with pytest.raises(CheckpointDamaged, match="rerank_depth"):
        load_manifest(tmp_path)
