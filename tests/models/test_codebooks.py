"""A codebook beside the weights of a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from models.test_checkpoint import write

from glyphseek.errors import CheckpointDamaged, SettingError
from glyphseek.models.checkpoint import (
    CODEBOOK,
    MANIFEST,
    WEIGHTS,
    attach_codebook,
    hash_file,
    load_codebook,
    load_manifest,
)
from glyphseek.tokens import TokenCodebook
from glyphseek.tokens.fitting import FitSettings, fit_codebook

TOKENS = np.random.default_rng(1).standard_normal((100, 12)).astype(np.float32)
CODEBOOK_OF_SIX = fit_codebook(TOKENS, FitSettings(stored_width=6, centroids=4, rounds=2))
UNPROJECTED = fit_codebook(TOKENS, FitSettings(centroids=4, rounds=2))


@pytest.mark.parametrize("codebook", [CODEBOOK_OF_SIX, UNPROJECTED])
def test_a_codebook_comes_back_as_it_was(codebook: TokenCodebook, tmp_path: Path) -> None:
    write(tmp_path)

    manifest = attach_codebook(tmp_path, codebook)

    assert load_manifest(tmp_path) == manifest
    found = load_codebook(tmp_path, manifest)
    assert found is not None
    assert found.fingerprint == codebook.fingerprint
    assert (found.token_width, found.stored_width) == (12, codebook.stored_width)


def test_the_manifest_names_the_hash_of_the_file_and_the_model_stays_the_same(tmp_path: Path) -> None:
    before = write(tmp_path)

    manifest = attach_codebook(tmp_path, CODEBOOK_OF_SIX)

    assert manifest.codebook_sha256 == hash_file(tmp_path / CODEBOOK)
    assert manifest.fingerprint == before.fingerprint


def test_a_model_without_a_codebook_has_none(tmp_path: Path) -> None:
    assert load_codebook(tmp_path, write(tmp_path)) is None


def test_a_manifest_written_before_there_were_codebooks_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    values = json.loads((tmp_path / MANIFEST).read_text())
    del values["codebook_sha256"]
    (tmp_path / MANIFEST).write_text(json.dumps(values))

    assert load_manifest(tmp_path).codebook_sha256 is None


def test_another_codebook_is_refused_and_the_same_one_again_is_not(tmp_path: Path) -> None:
    write(tmp_path)
    attach_codebook(tmp_path, CODEBOOK_OF_SIX)

    with pytest.raises(SettingError, match=f"{CODEBOOK_OF_SIX.fingerprint}.*{UNPROJECTED.fingerprint}"):
        attach_codebook(tmp_path, UNPROJECTED)

    assert attach_codebook(tmp_path, CODEBOOK_OF_SIX) == load_manifest(tmp_path)


def test_a_changed_or_missing_file_is_damage(tmp_path: Path) -> None:
    write(tmp_path)
    manifest = attach_codebook(tmp_path, CODEBOOK_OF_SIX)
    data = bytearray((tmp_path / CODEBOOK).read_bytes())
    data[-1] ^= 1
    (tmp_path / CODEBOOK).write_bytes(data)

    with pytest.raises(CheckpointDamaged, match="SHA-256"):
        load_codebook(tmp_path, manifest)

    (tmp_path / CODEBOOK).unlink()
    with pytest.raises(CheckpointDamaged, match="is missing"):
        load_codebook(tmp_path, manifest)


@pytest.mark.parametrize("content", [b"", b"no tensors", None])
def test_a_file_of_the_right_hash_that_holds_no_codebook_is_damage(content: bytes | None, tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / CODEBOOK
    path.write_bytes((tmp_path / WEIGHTS).read_bytes() if content is None else content)
    values = json.loads((tmp_path / MANIFEST).read_text()) | {"codebook_sha256": hash_file(path)}
    (tmp_path / MANIFEST).write_text(json.dumps(values))

    with pytest.raises(CheckpointDamaged, match=CODEBOOK):
        load_codebook(tmp_path, load_manifest(tmp_path))
