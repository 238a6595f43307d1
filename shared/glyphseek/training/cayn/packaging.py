"""From a backbone and finished runs to a CAYN model that ships: put together, calibrated, the manifest written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from glyphseek.evaluation.metrics import BoolArray
from glyphseek.models.cayn.encoder import CaynEncoder, make_card
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.settings import CaynSettings, find_preset
from glyphseek.models.checkpoint import Manifest, save_checkpoint, save_manifest
from glyphseek.models.loading import TOKENIZER
from glyphseek.queries import Term
from glyphseek.ranking import fuse
from glyphseek.search.settings import DEFAULT_RERANK
from glyphseek.tokens import CodecName, PackedTokens, open_tokens, pack
from glyphseek.training.annotated import read_pixels
from glyphseek.training.cayn.choices import read_settings
from glyphseek.training.cayn.photos import WordPhoto, read_word_photos
from glyphseek.training.cayn.stage import Trainee
from glyphseek.training.cayn.starting import start_network
from glyphseek.training.packaging import LICENCE, UNCALIBRATED, fit_calibration, name_of, read_command, read_stage
from glyphseek.training.recipe import take_trained_parts
from glyphseek.training.run import RunFolder
from glyphseek.types import Calibration, FloatArray, TermFeatures

SHORTEST_WORD = 3
TERMS_AT_ONCE = 16
UNNAMED = "0" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationData:
    """What the curves are fitted on: K photos, each with every word of any of them: relevant_TK."""

    terms: list[TermFeatures]
    maps: list[PackedTokens]
    relevant_TK: BoolArray


def package_cayn(
    out: Path,
    *,
    preset: str,
    weights: str,
    runs: Sequence[Path] = (),
    held_out: Sequence[Path] = (),
    data: Sequence[str] = (),
    licence: str = LICENCE,
    rerank_depth: int | None = None,
) -> Manifest:
    """Write a model folder of the backbone `weights` with what `runs` trained (later ones win); return its manifest.

    The model is called after its folder. The last run's own settings count, where it was trained with other ones than
    the preset's. Without runs the model is zero-shot: no adapter, no head, reranked by the softmax-pooled cosine.
    Scores are calibrated on the held-out fold of the annotated folders `held_out`, fused ones at `rerank_depth`, which
    the model then recommends to searches. `weights` and errors are those of `starting.start_network`.
    """
    settings = find_preset(preset)
    settings = read_settings(runs[-1]) or settings if runs else without_training(settings)
    network = start_network(settings, weights)
    for run in runs:
        take_trained_parts(Trainee(network), RunFolder(run))
    digest = save_checkpoint(out, network.state_dict())
    copy_tokenizer(network, out)
    calibration, rerank_calibration = calibrate(network, held_out, rerank_depth or DEFAULT_RERANK)
    manifest = Manifest(
        name=name_of(out),
        method="cayn",
        preset=json.loads(json.dumps(asdict(settings))),
        weights_sha256=digest,
        parameters=sum(p.numel() for p in network.parameters()),
        licence=licence,
        calibration=calibration,
        commands=[read_command(run) for run in runs],
        data=[f"backbone: {weights}", *data],
        stages=[read_stage(run) for run in runs],
        rerank_calibration=rerank_calibration,
        rerank_depth=rerank_depth,
    )
    save_manifest(out, manifest)
    return manifest


def without_training(settings: CaynSettings) -> CaynSettings:
    """Return the settings of the same backbone as it was published."""
    return replace(settings, name=f"{settings.name}-zero-shot", vpa="off", head="none")


def copy_tokenizer(network: Cayn, out: Path) -> None:
    """Put the file that a SigLIP text tower reads with beside the weights; other towers need none."""
    text = dict(network.backbone.named_children()).get("text")
    file = getattr(text, "tokenizer_file", None) if isinstance(text, nn.Module) else None
    if isinstance(file, Path) and file.is_file():
        shutil.copyfile(file, out / TOKENIZER)


def calibrate(network: Cayn, folders: Sequence[Path], depth: int) -> tuple[Calibration, Calibration | None]:
    """Return the curves for cosines and for fused scores, fitted on held-out photos.

    The second is fitted on the first `depth` images of each query, those that a search would rerank. Without photos the
    first is the usual guess, and there is no second.
    """
    photos = [photo for folder in folders for photo in read_word_photos(folder, held_out=True)]
    if not photos:
        return UNCALIBRATED, None
    plain = open_encoder(network, UNCALIBRATED)
    data = encode_photos(plain, photos)
    cosines_TK = (
        np.concatenate([term.vectors_VD for term in data.terms])
        @ np.stack([one.global_vector_D for one in data.maps if one.global_vector_D is not None]).T
    )
    calibration = fit_calibration(cosines_TK.ravel(), data.relevant_TK.ravel())
    fused_TK = fuse(cosines_TK, match_all(open_encoder(network, calibration), data), network.settings.fusion)
    best_TK = np.argsort(-cosines_TK, axis=1, kind="stable")[:, :depth]
    reranked = np.take_along_axis(fused_TK, best_TK, 1).ravel()
    return calibration, fit_calibration(reranked, np.take_along_axis(data.relevant_TK, best_TK, 1).ravel())


def open_encoder(network: Cayn, calibration: Calibration) -> CaynEncoder:
    """Return the network as a model that is not named yet."""
    return CaynEncoder(network, make_card(network, network.settings.name, UNNAMED, calibration=calibration))


def encode_photos(encoder: CaynEncoder, photos: Sequence[WordPhoto]) -> CalibrationData:
    """Return the photos as a gallery would store them, and every word of theirs that can be asked for."""
    limit = encoder.card.max_query_characters
    words = sorted({word for photo in photos for word in photo.words if SHORTEST_WORD <= len(word) <= limit})
    blobs = [
        pack(
            encoder.encode_images([encoder.prepare(read_pixels(photo.path))])[0],
            codec=CodecName.INT8,
            fingerprint=UNNAMED,
        )
        for photo in photos
    ]
    return CalibrationData(
        terms=encoder.encode_terms([Term(text=word) for word in words]),
        maps=[open_tokens(blob, fingerprint=UNNAMED) for blob in blobs],
        relevant_TK=np.array([[word in photo.words for photo in photos] for word in words]),
    )


def match_all(encoder: CaynEncoder, data: CalibrationData) -> FloatArray:
    """Return the match probability of every term and photo (T, K), a few terms at a time."""
    parts = [data.terms[i : i + TERMS_AT_ONCE] for i in range(0, len(data.terms), TERMS_AT_ONCE)]
    return np.concatenate(
        [encoder.score_maps(part, data.maps, with_attention=False).probabilities_TK for part in parts]
    )
