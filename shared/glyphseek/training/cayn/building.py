"""Puts the stage, its photos, caches and validation together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glyphseek.models.cayn.network import Cayn
from glyphseek.training.cayn.cache import TokenCache
from glyphseek.training.cayn.photos import read_word_photos
from glyphseek.training.cayn.stage import AdapterStage, AdapterStageSettings, TextCache, Trainee
from glyphseek.training.cayn.validation import AdapterValidation

VALIDATED_PHOTOS = 200
"""Held-out photos of each folder on which retrieval is measured while training."""


def build_adapter_stage(
    network: Cayn, folders: Sequence[Path], cache: Path, settings: AdapterStageSettings
) -> tuple[Trainee, AdapterStage, AdapterValidation]:
    """Return what is trained, from which photos, and how it is validated; `cache` keeps the backbone's tokens.

    The held-out fold of each annotated folder is for validation, the others for training. Raises InputError for folders
    without annotation or with fewer than two words.
    """
    trainee = Trainee(network)
    tokens, texts = TokenCache(cache, network), TextCache(network)
    photos = [photo for folder in folders for photo in read_word_photos(folder, held_out=False)]
    held_out = [photo for folder in folders for photo in read_word_photos(folder, held_out=True)[:VALIDATED_PHOTOS]]
    stage = AdapterStage(trainee, photos, tokens, texts, settings)
    return trainee, stage, AdapterValidation(held_out, tokens, texts, shortest=settings.shortest_word)
