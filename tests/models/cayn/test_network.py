from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from models.cayn.toy import random_image, random_pairs, toy_network

from glyphseek.models.cayn.letterbox import letterbox
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.objective import training_terms
from glyphseek.models.cayn.settings import TINY_DENSE, Directions, HeadKind, LossSettings, TextQuery, VpaPlace

WORDS = ["open", "exit", "cafe"]
Vector = list[float]


def pixels_of(*shapes: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    return letterbox([random_image(*shape, seed) for seed, shape in enumerate(shapes)], multiple=32)


def unit(vector: Vector) -> Vector:
    norm = math.sqrt(sum(x * x for x in vector))
    return [x / norm for x in vector]


def find_by_loops(queries: list[Vector], keys: list[Vector], scale: float) -> Vector:
    """Return what the queries find among the keys, averaged over the queries."""
    total = [0.0] * len(keys[0])
    for query in queries:
        weights = [math.exp(scale * sum(q * k for q, k in zip(unit(query), key, strict=True))) for key in keys]
        for weight, key in zip(weights, keys, strict=True):
            for e, component in enumerate(key):
                total[e] += weight / sum(weights) * component / len(queries)
    return total


@pytest.mark.parametrize(
    ("directions", "text_query", "head", "normalised"),
    list(product(["both", "text"], ["global", "tokens"], ["product", "found"], [True, False])),
)
def test_match_logits_are_a_linear_layer_over_what_cross_attention_finds(
    directions: Directions, text_query: TextQuery, head: HeadKind, normalised: bool
) -> None:
    network = toy_network(
        replace(
            TINY_DENSE,
            directions=directions,
            text_query=text_query,
            head=head,
            normalised_tokens=normalised,
            attention_scale=4.0,
        )
    )
    assert network.head is not None
    texts, images = random_pairs(network)

    found = network.match(texts, images)

    width = network.backbone.joint_width
    for p in range(3):
        visual = images.local_BNE[p][~images.is_padding_BN[p]].tolist()
        textual = texts.tokens_QTE[p][~texts.is_padding_QT[p]].tolist()
        whole, picture = texts.global_QE[p].tolist(), images.global_BE[p].tolist()
        queries = [whole] if text_query == "global" else textual
        findings = [(find_by_loops(queries, visual, 4.0), whole)]
        if directions == "both":
            keys = [unit(token) for token in textual] if normalised else textual
            findings.append((find_by_loops([picture], keys, 4.0), picture))
        features: Vector = []
        for values, asked in findings:
            if head == "product":
                features += [width * a * b for a, b in zip(unit(values), asked, strict=True)]
            else:
                features += [math.sqrt(width) * a for a in unit(values)]
        weight, bias = network.head.classifier.weight.tolist(), network.head.classifier.bias.tolist()
        expected = [sum(w * f for w, f in zip(weight[c], features, strict=True)) + bias[c] for c in (0, 1)]
        assert found[p].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_the_attention_scale_is_the_backbones_own_unless_set() -> None:
    network, set_network = toy_network(), toy_network(replace(TINY_DENSE, attention_scale=7.0))

    assert float(network.attention_scale) == pytest.approx(math.exp(float(network.backbone.logit_scale)))
    assert float(set_network.attention_scale) == 7.0


def attention_pool_by_loops(network: Cayn, tokens: list[Vector], text_logits: Vector) -> Vector:
    """Return the pooled image of the tiny backbone, written out head by head."""
    pool = network.backbone.get_submodule("attention_pool")
    factors = pool.get_parameter("attention.text_factor").tolist()

    def through(layer: str, vector: Vector) -> Vector:
        linear = pool.get_submodule(layer)
        weight, bias = linear.get_parameter("weight").tolist(), linear.get_parameter("bias").tolist()
        return [sum(w * x for w, x in zip(row, vector, strict=True)) + b for row, b in zip(weight, bias, strict=True)]

    mean = [sum(column) / len(tokens) for column in zip(*tokens, strict=True)]
    query = through("attention.q_proj", mean)
    keys, values = [through("attention.k_proj", t) for t in tokens], [through("v_proj", t) for t in tokens]
    pooled: Vector = []
    share, reach = len(tokens[0]) // len(factors), len(query) // len(factors)
    for head in range(len(factors)):
        part = slice(head * reach, (head + 1) * reach)
        logits = [
            sum(q * k for q, k in zip(query[part], key[part], strict=True)) / math.sqrt(reach) + factors[head] * logit
            for key, logit in zip(keys, text_logits, strict=True)
        ]
        weights = [math.exp(logit) for logit in logits]
        for c in range(head * share, (head + 1) * share):
            pooled.append(sum(w * v[c] for w, v in zip(weights, values, strict=True)) / sum(weights))
    return through("c_proj", pooled)


@pytest.mark.parametrize("grid", [(2, 2), (3, 5)])
def test_the_global_vector_is_the_attention_pool_over_adapted_tokens(grid: tuple[int, int]) -> None:
    network = toy_network()
    assert network.vpa is not None
    tokens, is_padding = network.backbone.image_tokens(*pixels_of((32 * grid[0], 32 * grid[1])))
    adapted = network.vpa(tokens, is_padding)
    likelihood = network.backbone.text_likelihood(adapted)[0].flatten().double()

    found = network.encode_tokens(tokens, is_padding)

    logits = torch.log(likelihood / (1 - likelihood)).tolist()
    expected = attention_pool_by_loops(network, adapted[0].flatten(0, 1).tolist(), logits)
    assert found.global_BE[0].tolist() == pytest.approx(unit(expected), abs=1e-4)


def test_local_tokens_skip_attention_and_take_only_their_own_value() -> None:
    network = toy_network()
    assert network.vpa is not None
    tokens, is_padding = network.backbone.image_tokens(*pixels_of((64, 96)))
    adapted = network.vpa(tokens, is_padding)[0].flatten(0, 1)
    value, out = (network.backbone.get_submodule(f"attention_pool.{name}") for name in ("v_proj", "c_proj"))

    found = network.encode_tokens(tokens, is_padding)

    for token, local in zip(adapted, found.local_BNE[0], strict=True):
        assert local.tolist() == pytest.approx(unit(out(value(token)).tolist()), abs=1e-5)


@pytest.mark.parametrize("vpa", ["tokens", "local", "off"])
def test_an_image_is_encoded_alike_alone_in_a_batch_and_with_any_padding(vpa: VpaPlace) -> None:
    network = toy_network(replace(TINY_DENSE, vpa=vpa))
    shapes = [(40, 90), (64, 64), (120, 33)]
    pixels, is_padding = pixels_of(*shapes)

    with torch.no_grad():
        together = network.encode_images(pixels, is_padding)
        for index, (height, width) in enumerate(shapes):
            rows, columns = -(-height // 32) * 32, -(-width // 32) * 32
            alone = network.encode_images(
                pixels[index : index + 1, :, :rows, :columns], is_padding[index : index + 1, :rows, :columns]
            )
            torch.testing.assert_close(together.global_BE[index], alone.global_BE[0], atol=1e-4, rtol=0)
            kept = ~together.is_padding_BN[index]
            own = alone.local_BNE[0][~alone.is_padding_BN[0]]
            torch.testing.assert_close(together.local_BNE[index][kept], own, atol=1e-4, rtol=0)
            assert bool((together.local_BNE[index][~kept] == 0).all())


def test_raw_tokens_keep_their_length() -> None:
    pixels = pixels_of((64, 64))

    raw = toy_network(replace(TINY_DENSE, normalised_tokens=False)).encode_images(*pixels).local_BNE
    unit_tokens = toy_network().encode_images(*pixels).local_BNE

    torch.testing.assert_close(torch.nn.functional.normalize(raw, dim=-1), unit_tokens)
    assert float((raw.detach().norm(dim=-1) - 1).abs().max()) > 0.1


def test_an_untrained_adapter_leaves_the_backbones_own_features() -> None:
    network = toy_network()
    assert network.vpa is not None
    for layer in (network.vpa.expand_rows, network.vpa.expand_columns):
        torch.nn.init.zeros_(layer.weight)
    assert network.vpa.expand_columns.bias is not None
    torch.nn.init.zeros_(network.vpa.expand_columns.bias)
    bare = toy_network(replace(TINY_DENSE, vpa="off"))
    bare.backbone.load_state_dict(network.backbone.state_dict())

    torch.testing.assert_close(
        network.encode_images(*pixels_of((64, 96))).global_BE, bare.encode_images(*pixels_of((64, 96))).global_BE
    )


def train_once(network: Cayn) -> None:
    images = network.encode_images(*pixels_of((64, 64), (64, 96), (32, 64)))
    terms = training_terms(
        network, network.encode_texts(WORDS), images, WORDS, [{w} for w in WORDS], LossSettings(), torch.Generator()
    )
    torch.stack(list(terms.values())).sum().backward()


def test_gradients_reach_adapter_and_head_and_nothing_else() -> None:
    network = toy_network().train()

    train_once(network)

    for name, parameter in network.named_parameters():
        if name.startswith("backbone."):
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().max()) > 0, name


def test_training_changes_no_statistics_of_a_frozen_backbone() -> None:
    network = toy_network().train()
    before = {name: value.clone() for name, value in network.backbone.named_buffers()}

    train_once(network)

    assert before
    for name, value in network.backbone.named_buffers():
        assert torch.equal(value, before[name]), name
    assert network.vpa is not None
    assert network.vpa.norm.training


def test_a_thawed_backbone_trains_too() -> None:
    network = toy_network()
    network.backbone.requires_grad_(True)

    train_once(network.train())

    assert network.backbone.training
    assert network.backbone.get_parameter("attention_pool.v_proj.weight").grad is not None


def test_a_model_without_a_head_learns_by_contrast_alone() -> None:
    network = toy_network(replace(TINY_DENSE, head="none"))
    texts, images = random_pairs(network)

    terms = training_terms(network, texts, images, WORDS, [{w} for w in WORDS], LossSettings(), torch.Generator())

    assert set(terms) == {"itc"}
    with pytest.raises(ValueError, match="without a head"):
        network.match(texts, images)


def test_the_prompt_surrounds_the_word() -> None:
    plain, prompted = toy_network(), toy_network(replace(TINY_DENSE, prompt="sign {}"))

    torch.testing.assert_close(plain.encode_texts(["sign open"]).global_QE, prompted.encode_texts(["open"]).global_QE)
