"""Weights from files, from the hub and from S3. The hub is never reached here: that it cannot be is what is tested."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file

from glyphseek.errors import CheckpointDamaged, MissingExtra, ModelNotFound, SettingError
from glyphseek.models.clip import building
from glyphseek.models.clip.settings import CLIP_SETTINGS, Architecture
from glyphseek.models.clip.weights import fetch_object, find_tokenizer, find_weights

RN50 = CLIP_SETTINGS["RN50"]
RCLONE = shutil.which("rclone", path=str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"])


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's own switch: no call leaves this machine, wherever the test runs."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def clip_of_one_size(monkeypatch: pytest.MonkeyPatch) -> Callable[[], CLIP]:
    """Let every network be built tiny, so that a checkpoint takes a moment."""
    monkeypatch.setattr(building, "create_clip", lambda _settings: make_tiny())  # pyright: ignore[reportUnknownLambdaType]
    return make_tiny


def make_tiny() -> CLIP:
    vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None, "head_width": 8}
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    return CLIP(24, vision, text).eval()  # pyright: ignore[reportArgumentType]


def save_safetensors(clip: CLIP, path: Path) -> None:
    save_file({name: value.contiguous() for name, value in clip.state_dict().items()}, path)


def save_pickle(clip: CLIP, path: Path) -> None:
    torch.save(clip.state_dict(), path)


def save_training_checkpoint(clip: CLIP, path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in clip.state_dict().items()}}, path)


def save_halves(clip: CLIP, path: Path) -> None:
    save_file({name: value.half().contiguous() for name, value in clip.state_dict().items()}, path)


@pytest.mark.parametrize(
    ("save", "name", "tolerance"),
    [
        (save_safetensors, "w.safetensors", 0.0),
        (save_pickle, "w.pt", 0.0),
        (save_training_checkpoint, "w.pth", 0.0),
        (save_halves, "w.safetensors", 1e-2),
    ],
)
def test_a_file_gives_back_the_network_that_it_was_saved_from(
    clip_of_one_size: Callable[[], CLIP],
    tmp_path: Path,
    save: Callable[[CLIP, Path], None],
    name: str,
    tolerance: float,
) -> None:
    saved = clip_of_one_size()
    save(saved, tmp_path / name)
    loaded = building.load_clip(RN50, str(tmp_path / name))
    wanted = building.take_apart(saved, RN50)
    pixels, is_padding = torch.rand(1, 3, 96, 64), torch.zeros(1, 96, 64, dtype=torch.bool)
    found_vector, _ = loaded.pool(*loaded.image_tokens(pixels, is_padding))
    wanted_vector, _ = wanted.pool(*wanted.image_tokens(pixels, is_padding))
    torch.testing.assert_close(found_vector, wanted_vector, rtol=0, atol=tolerance)
    torch.testing.assert_close(
        loaded.encode_text(["coffee"])[0], wanted.encode_text(["coffee"])[0], rtol=0, atol=tolerance
    )
    assert not loaded.training


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("architecture", "tag", "hub"),
    [
        ("RN50", "openai", "timm/resnet50_clip.openai"),
        ("RN50x4", "openai", "timm/resnet50x4_clip.openai"),
        ("RN50x16", "openai", "timm/resnet50x16_clip.openai"),
        ("ViT-B-16", "openai", "timm/vit_base_patch16_clip_224.openai"),
        ("ViT-B-16-SigLIP-512", "webli", "timm/ViT-B-16-SigLIP-512"),
    ],
)
def test_without_network_the_error_names_the_file_where_it_is_and_where_to_put_it(
    architecture: Architecture, tag: str, hub: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelNotFound) as caught:
        find_weights(architecture, tag, home=tmp_path)
    told = str(caught.value)
    assert f"https://huggingface.co/{hub}/resolve/main/open_clip_model.safetensors" in told
    assert str(tmp_path / f"{architecture}-{tag}.safetensors") in told


@pytest.mark.usefixtures("no_network")
def test_a_repository_of_the_hub_is_named_when_it_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        find_weights("ViT-B-16", "hf-hub:apple/DFN2B-CLIP-ViT-B-16", home=tmp_path)
    told = str(caught.value)
    assert "weights 'hf-hub:apple/DFN2B-CLIP-ViT-B-16' of ViT-B-16 are not here and cannot be fetched" in told
    assert "https://huggingface.co/apple/DFN2B-CLIP-ViT-B-16/resolve/main/open_clip_model.safetensors" in told
    assert f"save it as {tmp_path}/ViT-B-16-apple--DFN2B-CLIP-ViT-B-16.safetensors" in told


def test_a_repository_of_the_hub_that_was_brought_is_used(clip_of_one_size: Callable[[], CLIP], tmp_path: Path) -> None:
    saved = clip_of_one_size()
    save_safetensors(saved, tmp_path / "RN50-owner--name.safetensors")
    loaded = building.load_clip(RN50, "hf-hub:owner/name", home=tmp_path)
    assert torch.equal(loaded.text.state_dict()["positional_embedding"], saved.state_dict()["positional_embedding"])


@pytest.mark.parametrize("source", ["hf-hub:", "hf-hub:owner", "hf-hub:owner/", "hf-hub:/name", "hf-hub:a/b/c"])
def test_a_name_that_is_no_repository_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="write hf-hub:owner/name"):
        find_weights("RN50", source, home=tmp_path)


@pytest.mark.usefixtures("no_network")
def test_a_repository_that_the_hub_could_not_have_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"'hf-hub:owner/na me' of RN50 are not here"):
        find_weights("RN50", "hf-hub:owner/na me", home=tmp_path)


def test_weights_of_a_known_repository_want_their_own_activation(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="trained with quick_gelu=True; the settings say False"):
        building.load_clip(replace(RN50, quick_gelu=False), "hf-hub:timm/resnet50_clip.openai", home=tmp_path)


def test_the_hub_is_named_as_unreachable_when_it_is(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from pathlib import Path\n"
        "time.sleep = lambda seconds: None  # the hub's client waits 23 s between its tries\n"
        "from glyphseek.models.clip.building import load_clip\n"
        "from glyphseek.models.clip.settings import CLIP_SETTINGS\n"
        f"load_clip(CLIP_SETTINGS['RN50'], 'openai', home=Path({str(tmp_path)!r}))\n"
    )
    unreachable = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | unreachable, capture_output=True, text=True, timeout=200
    )
    assert "ModelNotFound: weights 'openai' of RN50 are not here and cannot be fetched" in done.stderr
    assert f"save it as {tmp_path}/RN50-openai.safetensors" in done.stderr


def test_the_file_put_where_the_error_says_is_used(clip_of_one_size: Callable[[], CLIP], tmp_path: Path) -> None:
    saved = clip_of_one_size()
    save_safetensors(saved, tmp_path / "RN50-openai.safetensors")
    loaded = building.load_clip(RN50, "openai", home=tmp_path)
    assert torch.equal(loaded.text.state_dict()["positional_embedding"], saved.state_dict()["positional_embedding"])


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="RN50x4 has no weights 'laion'; known: openai"):
        find_weights("RN50x4", "laion", home=tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no weights of RN50 at .*none\.safetensors"):
        find_weights("RN50", str(tmp_path / "none.safetensors"))


def test_published_weights_want_their_own_activation(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="trained with quick_gelu=True; the settings say False"):
        building.load_clip(replace(RN50, quick_gelu=False), "openai", home=tmp_path)


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:.*TorchScript")
@pytest.mark.usefixtures("clip_of_one_size")
def test_a_torchscript_archive_is_refused_without_advice_to_run_it(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "w.pt")
    with pytest.raises(CheckpointDamaged, match="TorchScript archive") as caught:
        building.load_clip(RN50, str(tmp_path / "w.pt"))
    assert "set to `False`" not in str(caught.value)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("evil", "w")


@pytest.mark.usefixtures("clip_of_one_size")
def test_no_code_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointDamaged, match=r"evil\.pt does not hold weights of RN50"):
        building.load_clip(RN50, str(tmp_path / "evil.pt"))
    assert not (tmp_path / "evil").exists()


@pytest.mark.usefixtures("clip_of_one_size")
@pytest.mark.parametrize("content", [b"", b"not weights", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointDamaged, match="does not hold weights of RN50"):
        building.load_clip(RN50, str(path))


@pytest.mark.usefixtures("clip_of_one_size")
def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    torch.save({"positional_embedding": torch.zeros(77, 16), "logit_scale": torch.ones([])}, tmp_path / "w.pt")
    with pytest.raises(CheckpointDamaged, match="Missing key"):
        building.load_clip(RN50, str(tmp_path / "w.pt"))


@pytest.mark.usefixtures("no_network")
def test_a_missing_tokenizer_names_the_file_and_both_places(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        find_tokenizer("ViT-B-16-SigLIP-512", beside=tmp_path / "w.safetensors", home=tmp_path / "home")
    told = str(caught.value)
    assert "https://huggingface.co/timm/ViT-B-16-SigLIP/resolve/main/tokenizer.json" in told
    assert str(tmp_path / "home" / "ViT-B-16-SigLIP-512-tokenizer.json") in told
    assert "beside the weights" in told


def test_a_tokenizer_beside_the_weights_is_found_first(tmp_path: Path) -> None:
    for name in ("tokenizer.json", "ViT-B-16-SigLIP-512-tokenizer.json"):
        (tmp_path / name).write_text("{}")
    found = find_tokenizer("ViT-B-16-SigLIP-512", beside=tmp_path / "w.safetensors", home=tmp_path)
    assert found == tmp_path / "tokenizer.json"
    assert find_tokenizer("ViT-B-16-SigLIP-512", home=tmp_path).name == "ViT-B-16-SigLIP-512-tokenizer.json"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that a real S3 server on this machine shows as the bucket `models`."""
    if RCLONE is None:
        pytest.skip("rclone, which serves S3 here, is not installed")
    root = tmp_path_factory.mktemp("s3")
    (root / "models").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [RCLONE, "serve", "s3", "--auth-key", "access,secret123", "--addr", f"127.0.0.1:{port}"]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "access",
        "AWS_SECRET_ACCESS_KEY": "secret123",
    }
    command += ["--dir-cache-time", "0s", str(root)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        wait_for(port)
        yield root / "models"
        server.terminate()


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the S3 server did not start")


def test_weights_are_fetched_from_s3(clip_of_one_size: Callable[[], CLIP], bucket: Path, tmp_path: Path) -> None:
    saved = clip_of_one_size()
    (bucket / "clip").mkdir()
    save_safetensors(saved, bucket / "clip" / "rn50.safetensors")
    loaded = building.load_clip(RN50, "s3://models/clip/rn50.safetensors", home=tmp_path)
    assert torch.equal(loaded.text.state_dict()["positional_embedding"], saved.state_dict()["positional_embedding"])


def test_an_object_is_fetched_once_until_it_changes(bucket: Path, tmp_path: Path) -> None:
    (bucket / "w.pt").write_bytes(b"first")
    first = fetch_object("s3://models/w.pt", home=tmp_path)
    made = first.stat().st_mtime_ns
    assert fetch_object("s3://models/w.pt", home=tmp_path) == first
    assert first.stat().st_mtime_ns == made
    (bucket / "w.pt").write_bytes(b"second one")
    assert fetch_object("s3://models/w.pt", home=tmp_path).read_bytes() == b"second one"


@pytest.mark.usefixtures("bucket")
def test_a_missing_object_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"s3://models/none\.pt cannot be fetched"):
        fetch_object("s3://models/none.pt", home=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("url", ["s3://", "s3://models", "s3://models/", "s3:///key"])
def test_an_address_without_an_object_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="write s3://bucket/key"):
        fetch_object(url, home=tmp_path)


def test_a_missing_client_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(MissingExtra, match=r"glyphseek\[s3\]"):
        fetch_object("s3://models/w.pt", home=tmp_path)
