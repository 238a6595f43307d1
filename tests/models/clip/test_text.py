from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from models.clip.toy_tokenizer import write_letter_tokenizer
from open_clip.transformer import TextTransformer

from glyphseek.errors import CheckpointDamaged, ModelNotFound, QueryError
from glyphseek.models.cayn.dense.settings import ALPHABET
from glyphseek.models.clip.settings import ARCHITECTURES
from glyphseek.models.clip.siglip import SiglipBackbone
from glyphseek.models.clip.text import SiglipTextTower
from glyphseek.models.clip.vit import VitBackbone

WORDS = ["coffee", "bank of america", "a"]


def test_clip_pads_after_the_end_token(tiny_vit: VitBackbone) -> None:
    _, tokens, is_padding = tiny_vit.encode_text(WORDS)
    assert (~is_padding).sum(dim=1).tolist() == [3, 5, 3]
    assert tokens.shape == (3, 5, 24)


def test_clip_reads_a_text_out_at_its_end_token(tiny_vit: VitBackbone) -> None:
    vectors, tokens, _ = tiny_vit.encode_text(WORDS)
    torch.testing.assert_close(vectors, torch.stack([tokens[0, 2], tokens[1, 4], tokens[2, 2]]), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["tiny_vit", "tiny_siglip"])
def test_a_text_is_the_same_alone_and_among_longer_ones(kind: str, request: pytest.FixtureRequest) -> None:
    backbone: VitBackbone | SiglipBackbone = request.getfixturevalue(kind)
    vectors, tokens, is_padding = backbone.encode_text(WORDS)
    for index, word in enumerate(WORDS):
        vector, own, _ = backbone.encode_text([word])
        torch.testing.assert_close(vectors[index], vector[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(tokens[index][~is_padding[index]], own[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["tiny_vit", "tiny_siglip"])
def test_different_words_differ(kind: str, request: pytest.FixtureRequest) -> None:
    vectors, _, _ = request.getfixturevalue(kind).encode_text(["coffee", "bread"])
    assert float((vectors[0] - vectors[1]).norm()) > 0.02 * float(vectors[0].norm())


def test_clip_reads_75_tokens_between_start_and_end(tiny_vit: VitBackbone) -> None:
    _, _, is_padding = tiny_vit.encode_text(["a " * 75])
    assert is_padding.shape == (1, 77)
    with pytest.raises(QueryError, match="is 78 tokens long, the model reads at most 77"):
        tiny_vit.encode_text(["coffee", "a " * 76])


def longest_texts(most: int) -> list[str]:
    """Return texts of so many characters that pieces have least in common with: letters and digits at random."""
    rng = random.Random(0)
    mixed = ["".join(rng.choices(ALPHABET, k=most)) for _ in range(50)]
    alone = " ".join("q7" * most)[:most].strip().ljust(most, "q")
    return [*mixed, alone, "7" * most, "q" * most]


def test_clip_reads_the_longest_text_that_presets_let_through(tiny_vit: VitBackbone) -> None:
    most = ARCHITECTURES["ViT-B-16"].most_characters

    _, _, is_padding = tiny_vit.encode_text(longest_texts(most))

    assert is_padding.shape[1] == 77  # digits are a token each: no text could be longer


def test_siglip_reads_the_longest_text_that_presets_let_through(tmp_path: Path) -> None:
    tower = siglip_tower(write_letter_tokenizer(tmp_path / "letters.json", ALPHABET))
    most = ARCHITECTURES["ViT-B-16-SigLIP-512"].most_characters

    _, is_padding = tower.tokenize(longest_texts(most))

    assert int((~is_padding).sum(dim=1).max()) == 64


def test_siglip_ends_a_text_once_and_fills_its_context_with_the_end(tiny_siglip: SiglipBackbone) -> None:
    tower = tiny_siglip.text
    assert isinstance(tower, SiglipTextTower)
    ids, is_padding = tower.tokenize(["coffee", "coffee shop"])
    assert ids.shape == (2, 64)
    for row, padding in zip(ids, is_padding, strict=True):
        assert (row == 1).sum() == padding.sum() + 1
        assert bool((row[padding] == 1).all())


def test_siglip_reads_no_case_and_no_punctuation(tiny_siglip: SiglipBackbone) -> None:
    vectors, _, _ = tiny_siglip.encode_text(["Coffee, Shop!", "coffee shop"])
    torch.testing.assert_close(vectors[0], vectors[1], rtol=0, atol=0)


def test_siglip_refuses_a_text_that_its_context_does_not_hold(tiny_siglip: SiglipBackbone) -> None:
    with pytest.raises(QueryError, match="the model reads at most 64"):
        tiny_siglip.encode_text(["open shop " * 40])


def siglip_tower(tokenizer_file: Path) -> SiglipTextTower:
    return SiglipTextTower(TextTransformer(64, 60, 32, 2, 1), tokenizer_file)


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"none\.json is missing"):
        siglip_tower(tmp_path / "none.json").encode(["coffee"])


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointDamaged, match="is not a tokenizer"):
        siglip_tower(tmp_path / "tokenizer.json").encode(["coffee"])
