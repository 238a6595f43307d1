"""A tokenizer as small as a test, built as SigLIP's is."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers


def write_tokenizer(path: Path) -> Path:
    """Write a small sentence-piece tokenizer, unigrams and `</s>` (id 1) after every text, and return its path."""
    tokenizer = Tokenizer(models.Unigram())
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    _read_as_siglip(tokenizer)
    tokenizer.train_from_iterator(["coffee shop open", "bank of america", "bread and milk"], trainer)
    _end(tokenizer)
    tokenizer.save(str(path))
    return path


def write_letter_tokenizer(path: Path, letters: str) -> Path:
    """Write one that has a piece for each letter and for the start of a word, and none for more: the longest texts."""
    pieces = ["<pad>", "</s>", "<unk>", "\u2581", *letters]
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=2, byte_fallback=False))
    _read_as_siglip(tokenizer)
    _end(tokenizer)
    tokenizer.save(str(path))
    return path


def _read_as_siglip(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()


def _end(tokenizer: Tokenizer) -> None:
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
