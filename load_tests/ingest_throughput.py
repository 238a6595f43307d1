"""Images/s of bulk indexing beside those of the bare model forward, with CPU and memory of all its processes.

    GLYPHSEEK_MILVUS_URI=... GLYPHSEEK_S3_ENDPOINT=... python load_tests/ingest_throughput.py PHOTOS [--images 200]

Ingests photos into a new collection of the configured deployment, and before and after that times the forward alone
over the same photos, prepared, with the same threads. The rate of the job is told twice: as its report has it, and from
the first to the last photo that came back, without the start of its workers. Where other work shares the machine, CPU
seconds compare better. The collection is dropped afterwards; its blobs are left to `glyphseek gc`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from uuid import uuid4

import torch

from glyphseek.config import load_config
from glyphseek.deployment import milvus_settings
from glyphseek.images import FoundFile, find_files, is_image_file, read_image
from glyphseek.indexing import IngestProgress, IngestRequest
from glyphseek.models.loading import open_model
from glyphseek.ports import Model
from glyphseek.vectors.milvus_generations import MilvusGenerations
from glyphseek_indexer.app import ingest

_TICKS_PER_S = 100
_SAMPLE_S = 1.0


@dataclass(slots=True, kw_only=True)
class Watch:
    """Samples CPU time and memory of this process and all its descendants, in a thread of its own."""

    cpu_ticks: dict[int, int] = field(default_factory=dict[int, int])
    ticks_before: int = 0
    peak_bytes: int = 0
    peak_by_name: dict[str, int] = field(default_factory=dict[str, int])
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def cpu_s(self) -> float:
        """Return the CPU seconds since the beginning of all processes seen, as of their last sample."""
        return (sum(self.cpu_ticks.values()) - self.ticks_before) / _TICKS_PER_S

    def begin(self) -> None:
        """Leave out what was used before."""
        self.ticks_before = sum(ticks for _, ticks in _descendants().values())

    def run(self) -> None:
        """Sample until `end`."""
        while not self._ended.wait(_SAMPLE_S):
            self.sample()

    def end(self) -> None:
        """Stop sampling."""
        self._ended.set()

    def sample(self) -> None:
        """Look at every process once."""
        total = 0
        by_name: dict[str, int] = {}
        for pid, (name, ticks) in _descendants().items():
            self.cpu_ticks[pid] = ticks
            size = _pss(pid)
            total += size
            by_name[name] = by_name.get(name, 0) + size
        if total > self.peak_bytes:
            self.peak_bytes, self.peak_by_name = total, by_name


def main() -> int:
    """Print the figures; return 1 when not every photo was added."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    config, collection = load_config(), f"throughput_{uuid4().hex[:12]}"
    files = [entry for entry in find_files(arguments.photos) if isinstance(entry, FoundFile)]
    photos = [file.path for file in islice(filter(is_image_file, files), arguments.images)]
    seen: list[tuple[float, int]] = []
    watch = Watch()
    with tempfile.TemporaryDirectory() as name:
        for number, path in enumerate(photos):
            shutil.copy(path, Path(name) / f"{number:05d}{path.suffix}")
        request = IngestRequest(source=name, collection=collection, threads=arguments.threads)
        torch.set_num_threads(arguments.threads)
        model = open_model(config.models[0])
        model.encode_images([model.prepare(read_image(photos[0]))])
        show_forward(model, photos, request.batch_images)
        watch.begin()
        sampler = threading.Thread(target=watch.run)
        sampler.start()
        report = ingest(config, request, on_progress=lambda one: _note(seen, one))
        watch.end()
        sampler.join()
    print(
        f"{report.added} images ({report.reused} blobs were there): {report.images_per_second:.3f}/s after "
        f"{report.start_seconds:.1f} s of starting; {_steady(seen):.3f}/s between the first and the last; "
        f"{watch.cpu_s / max(1, report.added):.3f} CPU s an image, all processes and their start"
    )
    print(
        f"peak memory {watch.peak_bytes / 2**20:.0f} MiB: "
        + ", ".join(
            f"{key} {size / 2**20:.0f}" for key, size in sorted(watch.peak_by_name.items(), key=lambda one: -one[1])[:8]
        )
    )
    show_forward(model, photos, request.batch_images)
    with MilvusGenerations(milvus_settings(config)) as generations:
        generations.drop_gallery(collection)
    return 0 if report.added == len(photos) else 1


def show_forward(model: Model, photos: list[Path], batch: int) -> None:
    """Time the model over prepared photos and print it."""
    prepared = [model.prepare(read_image(path)) for path in photos]
    begun_s, cpu_s = time.perf_counter(), time.process_time()
    for start in range(0, len(prepared), batch):
        model.encode_images(prepared[start : start + batch])
    seconds, cpu_s = time.perf_counter() - begun_s, time.process_time() - cpu_s
    print(f"bare forward {len(photos) / seconds:.3f}/s, {cpu_s / len(photos):.3f} CPU s an image", flush=True)


def _note(seen: list[tuple[float, int]], progress: IngestProgress) -> None:
    if progress.done and (not seen or progress.done > seen[-1][1]):
        seen.append((time.perf_counter(), progress.done))


def _steady(seen: list[tuple[float, int]]) -> float:
    (first_s, first), (last_s, last) = seen[0], seen[-1]
    return (last - first) / (last_s - first_s) if last_s > first_s else 0.0


def _descendants() -> dict[int, tuple[str, int]]:
    """Return name and CPU ticks of this process and all that descend from it."""
    parents: dict[int, int] = {}
    facts: dict[int, tuple[str, int]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text()
        except OSError:  # it ended just now
            continue
        name, _, rest = text.partition("(")[2].rpartition(")")
        values = rest.split()
        parents[int(folder.name)] = int(values[1])
        facts[int(folder.name)] = name, int(values[11]) + int(values[12])
    root = int(Path("/proc/self").resolve().name)
    mine = {root}
    while grown := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= grown
    return {pid: facts[pid] for pid in mine if pid in facts}


def _pss(pid: int) -> int:
    """Return the bytes of a process, those shared with others divided among them."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    sys.exit(main())
