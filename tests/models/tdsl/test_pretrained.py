from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import resnet18, resnet50

from glyphseek.errors import CheckpointDamaged, SettingError
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.pretrained import load_backbone
from glyphseek.models.tdsl.settings import PAPER, SMALL


def make_weights() -> dict[str, Tensor]:
    """Return a ResNet-50 by torchvision's names whose batch norms have seen something."""
    torch.manual_seed(7)
    tensors = resnet50(weights=None).state_dict()
    return {
        name: torch.rand_like(tensor) + 0.5 if tensor.is_floating_point() and tensor.dim() == 1 else tensor
        for name, tensor in tensors.items()
    }


def write_file(folder: Path, tensors: dict[str, Tensor], ending: str) -> Path:
    path = folder / f"resnet50.{ending}"
    if ending == "pth":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    return path


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_the_trunk_answers_as_torchvisions_network_with_the_same_weights(tmp_path: Path, ending: str) -> None:
    tensors = make_weights()
    whole = resnet50(weights=None)
    whole.load_state_dict(tensors)
    whole = whole.double().eval()
    network = Tdsl(PAPER).eval()
    images = torch.randn(1, 3, 64, 64).double()

    load_backbone(network, write_file(tmp_path, tensors, ending))

    with torch.inference_mode():
        stem = whole.maxpool(whole.relu(whole.bn1(whole.conv1(images))))
        coarsest = whole.layer4(whole.layer3(whole.layer2(whole.layer1(stem))))
        torch.testing.assert_close(network.pyramid.trunk.double()(images)["32"], coarsest, rtol=1e-6, atol=1e-6)


def test_a_file_of_another_network_is_refused_with_the_first_names_and_shapes(tmp_path: Path) -> None:
    file = write_file(tmp_path, resnet18(weights=None).state_dict(), "pth")

    with pytest.raises(CheckpointDamaged, match=r"no ResNet-50 .* missing: layer1\.0\.bn3.* of another shape: layer"):
        load_backbone(Tdsl(PAPER), file)


def test_one_tensor_of_another_shape_is_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    tensors = make_weights() | {"conv1.weight": torch.zeros(64, 1, 7, 7)}
    network = Tdsl(PAPER)
    before = network.pyramid.trunk.state_dict()["layer1.0.conv1.weight"].clone()

    with pytest.raises(
        CheckpointDamaged, match=r"1 of another shape: conv1\.weight \[64, 1, 7, 7\] for \[64, 3, 7, 7\]"
    ):
        load_backbone(network, write_file(tmp_path, tensors, "safetensors"))

    assert torch.equal(network.pyramid.trunk.state_dict()["layer1.0.conv1.weight"], before)


@pytest.mark.parametrize(("name", "content"), [("a.pth", b"no weights"), ("a.safetensors", b"no"), ("b.pth", b"")])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(CheckpointDamaged, match=f"{name} cannot be read"):
        load_backbone(Tdsl(PAPER), tmp_path / name)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": print}, tmp_path / "code.pth")

    with pytest.raises(CheckpointDamaged, match=r"code\.pth"):
        load_backbone(Tdsl(PAPER), tmp_path / "code.pth")


def test_a_file_that_is_not_there_or_holds_no_tensors_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")

    with pytest.raises(CheckpointDamaged, match="is missing"):
        load_backbone(Tdsl(PAPER), tmp_path / "none.pth")
    with pytest.raises(CheckpointDamaged, match="no state dict"):
        load_backbone(Tdsl(PAPER), tmp_path / "list.pth")


def test_a_preset_with_another_trunk_refuses_them(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="tdsl-small has a trunk of its own"):
        load_backbone(Tdsl(SMALL), tmp_path / "resnet50.pth")
