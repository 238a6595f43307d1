"""From finished runs to a model that ships: parts put together, scores calibrated, the manifest written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from glyphseek.errors import SettingError
from glyphseek.models.checkpoint import Manifest, load_manifest, load_weights, save_checkpoint, save_manifest
from glyphseek.models.loading import find_model
from glyphseek.models.tdsl.encoder import TdslEncoder, make_card
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import ALPHABET, TdslSettings, find_preset, restore_settings
from glyphseek.queries import Term
from glyphseek.ranking import spell_text
from glyphseek.training.annotated import AnnotatedPhoto, read_annotated_photos
from glyphseek.training.recipe import take_trained_parts
from glyphseek.training.run import RunFolder
from glyphseek.training.scenes import read_scene
from glyphseek.types import Calibration, FloatArray, LetterScale

LICENCE = "Apache-2.0"
UNCALIBRATED = Calibration(slope=10.0, offset=-7.0, threshold=0.5)
UNCALIBRATED_LETTERS = LetterScale(slope=0.04, offset=1.0)
FAINT = -12.0
"""Least logarithm that a calibration tells apart. Below it a word is in one photo of a thousand, whatever the letters
say (it was not found, or read quite wrongly); a curve through all of that is too low where letters are sure. On 216
held-out photos the mean loss is .0204 down to -60, .0176 to -14, .0173 to -12 and .0174 to -10."""
CONFIDENT = 0.5
"""An answer is confident when its word is more likely there than not."""


def package(runs: Sequence[Path], out: Path, *, preset: str, held_out: Sequence[Path], data: Sequence[str]) -> Manifest:
    """Write a model folder from the trained parts of `runs` (later ones win) and return its manifest.

    The model is called after its folder. Scores are calibrated on the held-out fold of the annotated galleries
    `held_out`.
    """
    settings = find_preset(preset)
    network = Tdsl(settings)
    for run in runs:
        take_trained_parts(network, RunFolder(run))
    digest = save_checkpoint(out, network.state_dict())
    scale = calibrate_on(network, settings, held_out) if held_out else Scale(calibration=UNCALIBRATED)
    manifest = Manifest(
        name=name_of(out),
        method="tdsl",
        preset=preset_of(settings),
        weights_sha256=digest,
        parameters=sum(p.numel() for p in network.parameters()),
        licence=LICENCE,
        calibration=scale.calibration,
        letters=scale.letters if settings.keeps_letters else None,
        commands=[read_command(run) for run in runs],
        data=list(data),
        stages=[read_stage(run) for run in runs],
    )
    save_manifest(out, manifest)
    return manifest


def resize(
    model: str, out: Path, *, longer_side: int, also_at: Sequence[int] = (), held_out: Sequence[Path] = ()
) -> Manifest:
    """Write a copy of a TDSL model that reads photos at other longer sides, and return its manifest.

    Words are found and read at `longer_side` and found at the sides `also_at` too, in pixels; smaller photos are left
    as they are. Scores are calibrated anew on `held_out`, or stay as they are without. Figures were measured at the
    sizes before and are left out. Raises SettingError for another method or the model's own folder, and as `find_model`
    and `load_weights` do.
    """
    source = find_model(model)
    manifest = load_manifest(source)
    if manifest.method != "tdsl":
        raise SettingError(f"{model} is of the method {manifest.method}; only TDSL models read photos at any size")
    if out.resolve() == source.resolve():
        raise SettingError(f"{out} is the model itself: galleries that it wrote could no longer be searched")
    settings = replace(
        restore_settings(manifest.preset),
        longer_side=longer_side,
        detector_longer_side=longer_side,
        extra_longer_sides=tuple(also_at),
    )
    network = Tdsl(settings)
    network.load_state_dict(load_weights(source, manifest))
    digest = save_checkpoint(out, network.state_dict())
    scale = (
        calibrate_on(network, settings, held_out)
        if held_out
        else Scale(calibration=manifest.calibration, letters=manifest.letters or UNCALIBRATED_LETTERS)
    )
    resized = replace(
        manifest,
        name=name_of(out),
        preset=preset_of(settings),
        weights_sha256=digest,
        calibration=scale.calibration,
        letters=scale.letters if settings.keeps_letters else None,
        figures=[],
    )
    save_manifest(out, resized)
    return resized


def preset_of(settings: TdslSettings) -> dict[str, object]:
    """Return settings as a manifest holds them."""
    return json.loads(json.dumps(asdict(settings)))


def name_of(out: Path) -> str:
    """Return what a model packaged into the folder is called. Its fingerprint does not depend on it."""
    return out.resolve().name


def read_command(run: Path) -> str:
    """Return the command line that trained a run."""
    return (run / "command.txt").read_text().strip()


def read_stage(run: Path) -> dict[str, object]:
    """Return the steps, samples and seconds of a run."""
    return {"run": run.name, **json.loads((run / "state.json").read_text())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How the scores of a model become probabilities: of vectors, and of letters on the scale of vectors."""

    calibration: Calibration
    letters: LetterScale = UNCALIBRATED_LETTERS


def calibrate_on(network: Tdsl, settings: TdslSettings, galleries: Sequence[Path]) -> Scale:
    """Return the curves fitted on every pair of a held-out photo and a word that stands in any of them."""
    letters = UNCALIBRATED_LETTERS if settings.keeps_letters else None
    encoder = TdslEncoder(
        network, make_card(settings, settings.name, "0" * 32, calibration=UNCALIBRATED, letters=letters)
    )
    photos = [photo for gallery in galleries for photo in read_annotated_photos(gallery, held_out=True)]
    words = sorted({w.word for photo in photos for w in photo.words if w.word is not None and len(w.word) > 2})
    terms = [Term(text=word) for word in words]
    typed_QD = np.concatenate([f.vectors_VD for f in encoder.encode_terms(terms)])
    told = [compare_with(encoder, photo, settings, terms, typed_QD) for photo in photos]
    present = np.array([[word in {w.word for w in photo.words} for word in words] for photo in photos]).ravel()
    calibration = fit_calibration(np.stack([one.similarities_Q for one in told]).ravel(), present)
    if letters is None:
        return Scale(calibration=calibration)
    return Scale(
        calibration=calibration,
        letters=fit_letters(np.stack([one.logarithms_Q for one in told]).ravel(), present, calibration),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What one photo says of Q typed words: the best similarity, and the best logarithm of being text that spells it.

    A photo without instances has 0 and `FAINT`.
    """

    similarities_Q: FloatArray
    logarithms_Q: FloatArray


def compare_with(
    encoder: TdslEncoder, photo: AnnotatedPhoto, settings: TdslSettings, terms: Sequence[Term], typed_QD: FloatArray
) -> Compared:
    """Return what a photo says of the typed words, whose vectors are `typed_QD`."""
    instances = encoder.encode_images([read_scene(photo, settings.prepared_longer_side).pixels])[0].instances
    if instances is None or not len(instances):
        return Compared(
            similarities_Q=np.zeros(len(terms), np.float32), logarithms_Q=np.full(len(terms), FAINT, np.float32)
        )
    similarities_Q = (typed_QD @ instances.vectors_ND.T).max(1)
    if instances.letters_NSA is None:
        return Compared(similarities_Q=similarities_Q, logarithms_Q=np.full(len(terms), FAINT, np.float32))
    told = [spell_text(term, instances.letters_NSA, instances.scores_N, ALPHABET).max() for term in terms]
    return Compared(similarities_Q=similarities_Q, logarithms_Q=np.maximum(told, FAINT).astype(np.float32))


def fit_letters(
    logarithms: FloatArray, present: np.ndarray[tuple[int], np.dtype[np.bool_]], calibration: Calibration
) -> LetterScale:
    """Return the similarity which `calibration` makes the probability of `present` given logarithms of letters."""
    curve = fit_calibration(logarithms, present)
    return LetterScale(
        slope=curve.slope / calibration.slope, offset=(curve.offset - calibration.offset) / calibration.slope
    )


def fit_calibration(similarities: FloatArray, present: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Calibration:
    """Return the logistic curve of largest likelihood for `present` given similarity; its slope is never negative."""
    signs = np.where(present, 1.0, -1.0)

    def loss(curve: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        return float(np.logaddexp(0, -signs * (curve[0] * similarities + curve[1])).mean())

    fitted = minimize(loss, np.array([10.0, -7.0]), method="L-BFGS-B", bounds=[(0.0, 200.0), (-200.0, 200.0)])
    return Calibration(slope=float(fitted.x[0]), offset=float(fitted.x[1]), threshold=CONFIDENT)
