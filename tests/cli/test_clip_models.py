"""Published CLIP networks from a file of weights to hits: the real architectures, random weights, nothing trained."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from cli.command_line import PHOTOS, Ended, Indexed, glyphseek
from models.clip.conftest import enliven
from models.clip.toy_tokenizer import write_tokenizer
from numpy.typing import NDArray
from open_clip.factory import get_model_config
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.timm_model import TimmModel
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer as TimmTransformer

from glyphseek.models.clip import building
from glyphseek.models.clip.building import create_clip, fill_clip
from glyphseek.models.clip.settings import CLIP_DEVIATION, CLIP_MEAN, CLIP_SETTINGS, ClipSettings
from glyphseek.models.loading import TOKENIZER
from glyphseek.training.packaging import UNCALIBRATED

NATIVE = 224
ASKED = "open"
"""A word whose cosines with the photos are above 0, where searches begin, with these random weights."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def one_network() -> Iterator[None]:
    """Let go of the networks of a test, which hold each other: four of them take 4 GB."""
    yield
    gc.collect()


@pytest.fixture(scope="module", name="photos")
def photos_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos of a word each, of RN50's own size, with their ground truth."""
    root = tmp_path_factory.mktemp("set")
    for place, name in enumerate(PHOTOS):
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((NATIVE, NATIVE, 3), 40 + 60 * place, np.uint8)
        pixels[:, : 60 * place] = (200, 90, 30)
        cv2.putText(pixels, path.stem, (20, 60 + 50 * place), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (255, 255, 255), 3)
        cv2.imwrite(str(path), pixels)
    rows = [{"image": f"images/{name}", "words": [Path(name).stem]} for name in PHOTOS]
    (root / "gallery.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def write_weights(path: Path, clip: CLIP | CustomTextCLIP) -> Path:
    """Write the network with other random weights, as halves and by open_clip's names, and return the file."""
    enliven(clip)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in clip.state_dict().items()}, path)
    return path


def short_siglip(_settings: ClipSettings) -> CustomTextCLIP:
    """Return SigLIP at 512 px with one block in each tower and a table of 60 pieces, a tenth of its size."""
    config = cast(dict[str, Any], get_model_config("ViT-B-16-SigLIP-512"))
    config["text_cfg"] |= {"layers": 1, "vocab_size": 60}
    clip = CustomTextCLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"], init_logit_bias=-10)
    trunk = cast(TimmTransformer, cast(TimmModel, clip.visual).trunk)
    trunk.blocks = trunk.blocks[:1]
    return clip.eval()


def package_and_index(root: Path, preset: str, weights: Path, photos: Path) -> Indexed:
    """Package the weights as they are and index the photos with the model."""
    model, gallery = root / "model", root / "gallery"
    packaged = glyphseek("package", model, "--preset", preset, "--weights", weights)
    assert packaged.code == 0, packaged.err
    gc.collect()
    ended = glyphseek("index", photos / "images", "--gallery", gallery, "--model", model)
    return Indexed(gallery=gallery, photos=photos, model=model, ended=ended)


def read_hits(ended: Ended) -> list[dict[str, Any]]:
    assert ended.code == 0, ended.err
    (answer,) = json.loads(ended.out)
    return answer["hits"]


@pytest.fixture(scope="module", name="weights")
def weights_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return write_weights(tmp_path_factory.mktemp("weights") / "rn50.safetensors", create_clip(CLIP_SETTINGS["RN50"]))


@pytest.fixture(scope="module", name="rn50")
def rn50_fixture(tmp_path_factory: pytest.TempPathFactory, photos: Path, weights: Path) -> Indexed:
    return package_and_index(tmp_path_factory.mktemp("rn50"), "cayn-rn50", weights, photos)


def test_a_clip_is_packaged_without_training_and_indexes_photos(rn50: Indexed) -> None:
    assert rn50.ended.code == 0, rn50.ended.err
    facts = json.loads(glyphseek("info", "--gallery", rn50.gallery, "--json").out)
    assert facts["images"] == len(PHOTOS)
    assert facts["features"] == "global, tokens"
    assert json.loads((rn50.model / "manifest.json").read_text())["preset"]["head"] == "none"


def test_recall_scores_are_open_clips_own_cosines(rn50: Indexed, weights: Path) -> None:
    clip = create_clip(CLIP_SETTINGS["RN50"])
    fill_clip(clip, weights, "RN50")
    pixels = np.stack([read_rgb(rn50.photos / "images" / name).transpose(2, 0, 1) for name in PHOTOS])
    normalised = (torch.from_numpy(pixels / 255).float() - column(CLIP_MEAN)) / column(CLIP_DEVIATION)
    with torch.inference_mode():
        images = clip.encode_image(normalised, normalize=True)
        text = clip.encode_text(SimpleTokenizer()([ASKED]), normalize=True)
    logits = UNCALIBRATED.slope * (images @ text[0]) + UNCALIBRATED.offset
    wanted = dict(zip(PHOTOS, torch.sigmoid(logits).tolist(), strict=True))

    hits = read_hits(glyphseek("search", ASKED, "--gallery", rn50.gallery, "--rerank", "0", "--json"))

    assert {hit["names"][0]: hit["score"] for hit in hits} == pytest.approx(wanted, rel=1e-2)  # kept in bytes


def test_hits_are_reranked_by_the_cosines_of_tokens(rn50: Indexed) -> None:
    hits = read_hits(glyphseek("search", ASKED, "--gallery", rn50.gallery, "--json"))

    assert [hit["stages"] for hit in hits] == [["recall", "rerank"]] * len(PHOTOS)
    assert len({hit["score"] for hit in hits}) == len(PHOTOS)


def test_marks_before_and_after_the_rerank_are_measured(rn50: Indexed) -> None:
    ended = glyphseek("eval", rn50.photos, "--model", rn50.model, "--rerank", "0", "--rerank", "2", "--json")

    assert ended.code == 0, ended.err
    reports = json.loads(ended.out)["reports"]
    assert {one["method"].rpartition(", ")[2] for one in reports} == {"recall alone", "rerank 2"}
    assert all(0 < one["map_percent"] <= 100 for one in reports)


def test_a_text_longer_than_the_tower_reads_is_refused(rn50: Indexed) -> None:
    longest = glyphseek("search", "7" * 75, "--gallery", rn50.gallery, "--json")
    longer = glyphseek("search", "7" * 76, "--gallery", rn50.gallery)

    assert len(read_hits(longest)) == len(PHOTOS)
    assert longer.code == 2


def test_siglip_keeps_its_tokenizer_in_the_model(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "create_clip", short_siglip)
    torch.manual_seed(0)
    weights = write_weights(
        tmp_path / "brought" / "siglip.safetensors", short_siglip(CLIP_SETTINGS["ViT-B-16-SigLIP-512"])
    )
    given = write_tokenizer(weights.parent / TOKENIZER).read_bytes()

    siglip = package_and_index(tmp_path, "cayn-siglip-b-512", weights, photos)
    shutil.rmtree(weights.parent)
    hits = read_hits(glyphseek("search", ASKED, "--gallery", siglip.gallery, "--json"))

    assert (siglip.model / TOKENIZER).read_bytes() == given
    assert siglip.ended.code == 0, siglip.ended.err
    assert [hit["stages"] for hit in hits] == [["recall", "rerank"]] * len(PHOTOS)


def read_rgb(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def column(values: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(values).view(3, 1, 1)
