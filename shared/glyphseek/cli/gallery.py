"""A gallery on disk, put together: the only place of the command line that builds stores.

GALLERY/
  gallery.json   which model wrote it, how features are packed, of which folder; replaced whole
  vectors/       Milvus Lite
  features/      one blob an image
  files.json     hints of the last run, safe to lose
  report.json    what the last indexing did and left out
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from glyphseek.errors import BlobError, GalleryDamaged, GalleryNotFound, ModelMismatch, SettingError
from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.ports import FeatureStore, Model, TokenScorer
from glyphseek.reranking import Reranker
from glyphseek.tokens import CodecName, inspect
from glyphseek.types import Calibration, FeatureKind, Fusion, LetterScale, ModelCard
from glyphseek.vectors.milvus import MilvusLiteStore

GALLERY_FILE = "gallery.json"
REPORT_FILE = "report.json"
LAYOUT = 1

GalleryOption = Annotated[Path, typer.Option("--gallery", "-g", help="Folder of the gallery.")]
GalleryOrNone = Annotated[Path | None, typer.Option("--gallery", "-g", help="Folder of the gallery.")]
UrlOption = Annotated[
    str | None, typer.Option("--url", envvar="GLYPHSEEK_URL", help="A running gateway, instead of a gallery.")
]
CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Collection of the gateway.")]
KeyOption = Annotated[str, typer.Option("--api-key", envvar="GLYPHSEEK_API_KEY", help="Key, if the gateway asks.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How a gallery keeps features, the same for all its photos. keep_likelihood: as for IndexSettings."""

    codec: CodecName
    keep_likelihood: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryDescription:
    """What gallery.json holds. `model` is the id or path that opens the model; `folder` is where the photos are.

    `packing` is None for a gallery that was made before it was written down.
    """

    layout: int
    model: str
    folder: str
    card: ModelCard
    packing: Packing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """An open gallery."""

    path: Path
    description: GalleryDescription
    vectors: MilvusLiteStore
    features: DirectoryFeatureStore

    @property
    def card(self) -> ModelCard:
        """Return the card of the model that wrote it."""
        return self.description.card


def choose_gallery(gallery: Path | None) -> Path:
    """Return the gallery that a command means. Raises SettingError where neither it nor a gateway is named."""
    if gallery is None:
        raise SettingError("say where the photos are: --gallery FOLDER, or --url of a running gateway")
    return gallery


def describe(path: Path) -> GalleryDescription:
    """Return what the gallery's own file says. Raises GalleryNotFound or GalleryDamaged."""
    file = path / GALLERY_FILE
    if not file.is_file():
        raise GalleryNotFound(f"there is no gallery at {path}; make one with: glyphseek index FOLDER --gallery {path}")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        card = values["card"]
        card["features"] = frozenset(FeatureKind(kind) for kind in card["features"])
        card["calibration"] = Calibration(**card["calibration"])
        if card.get("rerank_calibration") is not None:
            card["rerank_calibration"] = Calibration(**card["rerank_calibration"])
        if card.get("letters") is not None:
            card["letters"] = LetterScale(**card["letters"])
        card["fusion"] = Fusion(card.get("fusion", Fusion.SUM))
        values["card"] = ModelCard(**card)
        if (packing := values.get("packing")) is not None:
            values["packing"] = Packing(codec=CodecName(packing["codec"]), keep_likelihood=packing["keep_likelihood"])
        description = GalleryDescription(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise GalleryDamaged(f"{file} cannot be read: {error}") from error
    if description.layout != LAYOUT:
        raise GalleryDamaged(f"{file} has layout {description.layout}; this version reads {LAYOUT}")
    return description


def create_if_absent(path: Path, *, model: str, folder: Path, card: ModelCard, packing: Packing) -> None:
    """Write gallery.json for a new gallery; for one that exists, refuse another model: names and fingerprints.

    How it is packed is written down where that was not known.
    """
    if not (path / GALLERY_FILE).exists():
        path.mkdir(parents=True, exist_ok=True)
        described = GalleryDescription(
            layout=LAYOUT, model=model, folder=str(folder.resolve()), card=card, packing=packing
        )
        write_description(path, described)
        return
    known = describe(path)
    check_model(path, known.card, card)
    if known.packing != packing:
        write_description(path, replace(known, packing=packing))


def choose_packing(path: Path, *, codec: CodecName | None, keep_likelihood: float | None) -> Packing | None:
    """Return how the gallery at `path` is to keep features: as it does, or as asked; None where nothing says so.

    None asks for nothing. Of a gallery that was made before it was written down, its first sound blob says the codec.
    Raises SettingError where something else is asked of a gallery that holds features.
    """
    if not (path / GALLERY_FILE).exists():
        return None
    held = _codec_of_blobs(path)
    known = describe(path).packing or (Packing(codec=held) if held is not None else None)
    if known is None:
        return None
    if held is not None:
        _check_packing(path, known, codec=codec, keep_likelihood=keep_likelihood)
    return Packing(
        codec=known.codec if codec is None else codec,
        keep_likelihood=known.keep_likelihood if keep_likelihood is None else keep_likelihood,
    )


def _codec_of_blobs(path: Path) -> CodecName | None:
    features = DirectoryFeatureStore(path / "features")
    for key in features.scan():
        try:
            return inspect(features.get([key])[0] or b"").codec
        except BlobError:
            continue
    return None


def _check_packing(path: Path, known: Packing, *, codec: CodecName | None, keep_likelihood: float | None) -> None:
    for option, asked, kept in (
        ("--codec", codec, known.codec),
        ("--keep-likelihood", keep_likelihood, known.keep_likelihood),
    ):
        if asked is not None and asked != kept:
            raise SettingError(
                f"the gallery {path} was indexed with {option} {kept}; with {asked} its photos would be kept in two "
                f"ways. Leave {option} out, or index into another folder"
            )


def check_model(path: Path, known: ModelCard, card: ModelCard) -> None:
    """Raise ModelMismatch, with both names, unless `card` is of the model `known` that wrote the gallery at `path`."""
    if known.fingerprint != card.fingerprint:
        raise ModelMismatch(
            f"the gallery {path} was written by {known.name} ({known.fingerprint}); this is {card.name} "
            f"({card.fingerprint}). Index into another folder to build a new generation beside it"
        )


def follow_folder(gallery: Gallery, folder: Path, *, allow_move: bool) -> None:
    """Write down that the gallery's photos are in `folder` from now on.

    Raises SettingError when it holds photos of another folder, unless `allow_move`.
    """
    before, now = gallery.description.folder, str(folder.resolve())
    if before == now:
        return
    if not allow_move and next(iter(gallery.vectors.scan()), None) is not None:
        raise SettingError(
            f"the gallery was made from {before!r}; indexing {now!r} would remove the photos of the other folder. Use "
            "another gallery, or --allow-move"
        )
    write_description(gallery.path, replace(gallery.description, folder=now))


def write_description(path: Path, description: GalleryDescription) -> None:
    """Replace gallery.json in one step. Names that are not UTF-8 survive, as escapes."""
    plain = asdict(description)
    plain["card"]["features"] = sorted(description.card.features)
    draft = path / (GALLERY_FILE + ".part")
    draft.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, path / GALLERY_FILE)


@contextmanager
def open_gallery(path: Path) -> Generator[Gallery]:
    """Yield the gallery with both stores open, and close it. Raises GalleryNotFound, GalleryBusy or GalleryDamaged."""
    description = describe(path)
    vectors = MilvusLiteStore.open(path / "vectors", card=description.card)
    try:
        features = DirectoryFeatureStore(path / "features")
        yield Gallery(path=path, description=description, vectors=vectors, features=features)
    finally:
        vectors.close()


@contextmanager
def open_reranker(model: Model, features: FeatureStore) -> Generator[Reranker | None]:
    """Yield a reranker for a model that has token maps, None for another."""
    if isinstance(model, TokenScorer):
        with Reranker(model, features, fingerprint=model.card.fingerprint) as reranker:
            yield reranker
    else:
        yield None
