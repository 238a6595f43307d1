"""Train CAYN's adapter and head in several ways and measure each: what the parts of the method are worth.

    python scripts/ablate_cayn.py SET --weights MODEL --real FOLDER... --cache DIR --out DIR [--seeds 3] [--steps 200]

SET is a benchmark that `glyphseek eval` reads; its first query list is asked. Every variant is trained `--seeds` times
from the same frozen backbone on the annotated folders `--real`; features of the backbone are computed once and kept in
`--cache`. Prints and writes (ablation.json, ablation.md) mean and standard deviation over seeds of mAP over the whole
set: recall alone, after a rerank of K = 32, and for the default variant for K = 2 to 128.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from glyphseek.datasets.benchmarks import load_benchmarks
from glyphseek.evaluation import Benchmark
from glyphseek.evaluation.metrics import average_precision, rank_hits
from glyphseek.models.cayn.head import match_probability
from glyphseek.models.cayn.network import Cayn, EncodedImages, EncodedTexts
from glyphseek.queries import normalize
from glyphseek.training.cayn.cache import TokenCache, stack_tokens
from glyphseek.training.cayn.choices import read_settings
from glyphseek.training.cayn.stage import Trainee
from glyphseek.training.cayn.starting import start_network
from glyphseek.training.recipe import Recipe, run_recipe, take_trained_parts
from glyphseek.training.run import RunFolder

VARIANTS = {
    "default: NLC and HEM in ITM, VPA": (),
    "no VPA": ("vpa=off",),
    "uniform sampling, NLC": ("sampling=uniform",),
    "HEM without NLC": ("itm_nlc=false",),
    "uniform sampling without NLC": ("sampling=uniform", "itm_nlc=false"),
    "NLC in ITC too": ("itc_nlc=true",),
    "text query only": ("directions=text",),
}
DEFAULT = next(iter(VARIANTS))
DEPTHS = (2, 4, 8, 16, 32, 64, 128)
USUAL_DEPTH = 32
CHUNK = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One word as it is asked, and which of the N photos carry it."""

    word: str
    relevant_N: np.ndarray[tuple[int], np.dtype[np.bool_]]


def main() -> None:
    """Train, measure, print and write."""
    options = parse_options()
    torch.set_num_threads(options.threads)
    benchmark = next(iter(load_benchmarks(options.set, split="test")))
    asked = list_words(benchmark)
    rows: dict[str, list[dict[str, float]]] = {}
    for name, changes in VARIANTS.items():
        for seed in range(options.seeds):
            depths = DEPTHS if name == DEFAULT else (USUAL_DEPTH,)
            figures = measure(train(options, name, changes, seed), benchmark, asked, options.cache, depths)
            rows.setdefault(name, []).append(figures)
            print(f"{name}, seed {seed}: {figures}", flush=True)
            write(options.out, benchmark, len(asked), options, rows)


def parse_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("set", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="cayn-small")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def list_words(benchmark: Benchmark) -> list[Asked]:
    """Return the words of the first query list that are one word each."""
    names = [image.name for image in benchmark.images]
    relevant = benchmark.query_lists[0].relevant
    return [
        Asked(word=normalize(word), relevant_N=np.array([name in found for name in names]))
        for word, found in sorted(relevant.items())
        if " " not in normalize(word)
    ]


def train(options: argparse.Namespace, name: str, changes: Sequence[str], seed: int) -> Cayn:
    """Return the network with what one run of the variant trained."""
    run = options.out / "runs" / f"{name.replace(' ', '-').replace(',', '').replace(':', '')}-{seed}"
    recipe = Recipe(
        stage="adapter",
        run=run,
        preset=options.preset,
        steps=options.steps,
        real=tuple(options.real),
        weights=options.weights,
        cache=options.cache,
        set=tuple(changes),
        save_every=options.steps,
        validate_every=options.steps,
        seed=seed,
    )
    run_recipe(recipe, report=lambda row: None)
    settings = read_settings(run)
    if settings is None:
        raise SystemExit(f"{run} has no settings")
    network = start_network(settings, options.weights)
    take_trained_parts(Trainee(network), RunFolder(run))
    return network.eval()


@torch.inference_mode()
def measure(
    network: Cayn, benchmark: Benchmark, asked: Sequence[Asked], cache: Path, depths: Sequence[int]
) -> dict[str, float]:
    """Return mAP (%) of recall alone and after reranks of these depths; those not reranked stay behind."""
    images = encode(network, TokenCache(cache, network), [image.path for image in benchmark.images])
    texts = network.encode_texts([one.word for one in asked])
    cosines_QN = (texts.global_QE @ images.global_BE.T).numpy()
    probabilities = [
        judge(network, texts, row, images, cosines_N, max(depths)) for row, cosines_N in enumerate(cosines_QN)
    ]
    figures = {"recall": mean_ap(cosines_QN, asked)}
    for depth in depths:
        scores_QN = cosines_QN - 4
        for row, (best, match) in enumerate(probabilities):
            scores_QN[row, best[:depth]] = cosines_QN[row, best[:depth]] + match[:depth]
        figures[f"rerank {depth}"] = mean_ap(scores_QN, asked)
    return figures


def encode(network: Cayn, tokens: TokenCache, paths: Sequence[Path]) -> EncodedImages:
    """Return all photos, their tokens as rows of one length."""
    parts = [
        network.encode_tokens(*stack_tokens([tokens.read(path) for path in paths[start : start + CHUNK]]), compact=True)
        for start in range(0, len(paths), CHUNK)
    ]
    return EncodedImages(
        global_BE=torch.cat([part.global_BE for part in parts]),
        local_BNE=pad_sequence([rows for part in parts for rows in part.local_BNE], batch_first=True),
        is_padding_BN=pad_sequence(
            [row for part in parts for row in part.is_padding_BN], batch_first=True, padding_value=True
        ),
    )


def judge(
    network: Cayn, texts: EncodedTexts, row: int, images: EncodedImages, cosines_N: np.ndarray, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the `depth` best photos of one text by recall, best first, and their match probabilities."""
    best = np.argsort(-cosines_N, kind="stable")[:depth]
    chosen = torch.from_numpy(best)
    logits = network.match(texts.take(torch.full_like(chosen, row)), images.take(chosen))
    return best, match_probability(logits).numpy()


def mean_ap(scores_QN: np.ndarray, asked: Sequence[Asked]) -> float:
    """Return mAP in percent."""
    rankings = [rank_hits(one.relevant_N, scores) for one, scores in zip(asked, scores_QN, strict=True)]
    return 100 * float(np.mean([average_precision(ranking) for ranking in rankings]))


def write(
    out: Path, benchmark: Benchmark, queries: int, options: argparse.Namespace, rows: dict[str, list[dict[str, float]]]
) -> None:
    """Write the figures so far as JSON and as a Markdown table."""
    out.mkdir(parents=True, exist_ok=True)
    head = {"set": benchmark.name, "photos": len(benchmark.images), "queries": queries, "steps": options.steps}
    (out / "ablation.json").write_text(json.dumps({**head, "seeds": options.seeds, "variants": rows}, indent=1) + "\n")
    names = ["recall", f"rerank {USUAL_DEPTH}"]
    lines = ["| variant | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    lines += [
        f"| {name} | " + " | ".join(spread(found, column) for column in names) + " |" for name, found in rows.items()
    ]
    default = rows[DEFAULT]
    lines += [
        "",
        "| K of the rerank | 0 | " + " | ".join(map(str, DEPTHS)) + " |",
        "|---|" + "---|" * (len(DEPTHS) + 1),
    ]
    cells = [spread(default, "recall"), *(spread(default, f"rerank {depth}") for depth in DEPTHS)]
    lines.append("| mAP | " + " | ".join(cells) + " |")
    (out / "ablation.md").write_text("\n".join(lines) + "\n")


def spread(found: Sequence[dict[str, float]], column: str) -> str:
    """Return mean and standard deviation over seeds."""
    values = [row[column] for row in found]
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{deviation}"


if __name__ == "__main__":
    main()
