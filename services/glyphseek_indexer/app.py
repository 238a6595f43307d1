"""The bulk indexer put together: the only module that names Ray.

Readers (CPU) -> encoders (GPU, or CPU) -> this process, which writes the rows. Ray moves the photos between them, holds
readers back while encoders are busy, and gives the work of a worker that died to another one. A photo may so be
encoded twice, but it counts once: its blob is keyed by its content, and its row is written here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import cast

import ray
import ray.data
from ray.actor import ActorProxy
from ray.exceptions import RayError

from glyphseek.config import Config
from glyphseek.deployment import choose_model, encoding_settings, open_features, open_vectors, s3_settings
from glyphseek.errors import ServiceUnavailable
from glyphseek.images import ImageLimits
from glyphseek.indexing import ImageEncoder, IngestProgress, IngestReport, IngestRequest
from glyphseek.metrics import Metrics, serve_metrics
from glyphseek.types import ModelCard
from glyphseek_indexer.columns import (
    Table,
    names_of,
    names_to_table,
    outcomes_of,
    outcomes_to_table,
    readings_of,
    readings_to_table,
)
from glyphseek_indexer.committing import Outcome, RowWriter
from glyphseek_indexer.encoding import encode_readings
from glyphseek_indexer.guarding import Attempts, Guard
from glyphseek_indexer.job import Job
from glyphseek_indexer.known import Known
from glyphseek_indexer.reading import PhotoReader, Reading
from glyphseek_indexer.retrying import Patience
from glyphseek_indexer.sources import PhotoSource, open_source

_NAMES = 64
"""In a block: what a reader is given at once."""
_READ_AT_ONCE = 8
_BATCHES_PER_CALL = 4
"""Batches of the model for which an encoder asks the store at once what it has."""
_INIT_DEATHS = 3
_STARTS = 4
"""Ray gives a node 30 seconds to come up, which a busy machine may not be able to do."""
_LOG = logging.getLogger(__name__)
_BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What every worker is told. known: shared by all workers of a node. attempts: an actor of class Attempts."""

    config: Config
    request: IngestRequest
    source: PhotoSource
    limits: ImageLimits
    card: ModelCard
    model: str
    known: ray.ObjectRef[Known]
    attempts: ActorProxy[Attempts]


def ingest(config: Config, request: IngestRequest, *, on_progress: Callable[[IngestProgress], None]) -> IngestReport:
    """Bring the photos of a source into a collection and return what was done; nothing that one photo does ends it.

    Raises SettingError, ModelMismatch, ModelNotFound, StoreUnavailable and ServiceUnavailable before anything is done;
    later errors end the job early and are told in the report.
    """
    from glyphseek.models.loading import open_model

    begun_s = time.monotonic()
    limits = ImageLimits()
    source = open_source(request.source, s3_settings(config), limits)
    model = choose_model(config, request.collection, wanted=request.model)
    card = open_model(model).card
    open_features(config).close()
    with (
        closing(
            open_vectors(config, gallery=request.collection, card=card, is_new_generation=request.new_generation)
        ) as vectors,
        _started(request),
        _told(config) as metrics,
    ):
        known = ray.put(Known.of(vectors.scan()))
        plan = _Plan(
            config=config,
            request=request,
            source=source,
            limits=limits,
            card=card,
            model=model,
            known=known,
            attempts=ray.remote(Attempts).options(num_cpus=0).remote(),
        )
        started_s = time.monotonic()
        job = Job(
            source=source,
            workers=_RayWorkers(plan),
            writer=RowWriter(vectors=vectors, patience_s=request.patience_s, metrics=metrics),
            commit_images=request.commit_images,
            on_progress=on_progress,
        )
        outcome, message = job.run()
    return IngestReport(
        outcome=outcome,
        message=message,
        collection=request.collection,
        model=card.name,
        fingerprint=card.fingerprint,
        found=job.found,
        added=job.counts.added,
        reused=job.counts.reused,
        unchanged=job.counts.unchanged,
        updated=job.counts.updated,
        refused=tuple(sorted(job.counts.refused, key=lambda skip: skip.name)),
        seconds=time.monotonic() - begun_s,
        start_seconds=started_s - begun_s,
    )


class _RayWorkers:
    """Readers and encoders as two pools of Ray actors. Ray starts one that dies anew and repeats what it had."""

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan

    def run(self, names: Sequence[str]) -> Iterator[list[Outcome]]:
        """Yield what became of photos; see `Workers`."""
        self._set_bounds()
        request, config = self._plan.request, self._plan.config
        threads = request.threads or config.threads
        blocks = [names_to_table(names[start : start + _NAMES]) for start in range(0, len(names), _NAMES)]
        stored = (
            ray.data.from_arrow(blocks)
            .map_batches(
                _Reader,
                fn_constructor_args=(self._plan,),
                batch_size=_READ_AT_ONCE,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=request.readers),
                num_cpus=1,
            )
            .map_batches(
                _Encoder,
                fn_constructor_args=(self._plan,),
                batch_size=_BATCHES_PER_CALL * request.batch_images,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=request.encoders),
                num_cpus=1 if request.gpus else threads,
                num_gpus=request.gpus,
            )
        )
        try:
            for table in stored.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
                yield outcomes_of(cast(Table, table))
        except RayError as error:
            raise ServiceUnavailable(f"the workers failed: {type(error).__name__}: {str(error)[:300]}") from error

    def _set_bounds(self) -> None:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_consecutive_actor_init_deaths = _INIT_DEATHS
        context.target_max_block_size = _BLOCK_BYTES
        context.execution_options.resource_limits = ray.data.ExecutionResources(
            object_store_memory=self._plan.request.memory_bytes
        )


class _Reader:
    """What one reader does, in a process of its own."""

    def __init__(self, plan: _Plan) -> None:
        config = plan.config
        reader = PhotoReader(
            source=plan.source,
            known=ray.get(plan.known),
            limits=plan.limits,
            longer_side=plan.card.longer_side,
            trust_names=plan.request.trust_names,
            photos=open_features(config) if config.keep_photos else None,
        )
        self._guard = Guard(
            stage="reading",
            book=_RayBook(plan.attempts),
            name_of=str,
            work=reader.read,
            leave_out=lambda name, skip, again: Reading(name=name, skip=skip, again=again),
            patience=Patience(seconds=plan.request.patience_s),
        )

    def __call__(self, table: Table) -> Table:
        begun_s = time.perf_counter()
        readings = self._guard.run(names_of(table))
        read_s = (time.perf_counter() - begun_s) / max(len(readings), 1)
        return readings_to_table([replace(one, read_s=read_s) for one in readings])


class _Encoder:
    """What one encoder does, in a process of its own, with the model in memory."""

    def __init__(self, plan: _Plan) -> None:
        import torch

        from glyphseek.models.loading import open_model

        torch.set_num_threads(plan.request.threads or plan.config.threads)
        settings = encoding_settings(plan.config)
        encoder = ImageEncoder(
            open_model(plan.model, device=plan.config.device),
            open_features(plan.config),
            replace(settings, batch_images=plan.request.batch_images, limits=plan.limits),
        )
        self._guard = Guard(
            stage="encoding",
            book=_RayBook(plan.attempts),
            name_of=attrgetter("name"),
            work=partial(encode_readings, encoder),
            leave_out=lambda one, skip, again: Outcome(name=one.name, skip=skip, again=again),
            patience=Patience(seconds=plan.request.patience_s),
        )

    def __call__(self, table: Table) -> Table:
        readings = readings_of(table)
        begun_s = time.perf_counter()
        outcomes = self._guard.run(readings)
        opened = {one.name for one in readings if one.photo is not None}
        encode_s = (time.perf_counter() - begun_s) / max(len(opened), 1)
        return outcomes_to_table([replace(one, encode_s=encode_s) if one.name in opened else one for one in outcomes])


class _RayBook:
    """An AttemptBook that an actor keeps."""

    def __init__(self, attempts: ActorProxy[Attempts]) -> None:
        self._attempts = attempts

    def begin(self, key: str) -> int:
        """Note a beginning; return how often this was begun before and has not ended."""
        begin = self._attempts.begin.remote  # pyright: ignore[reportFunctionMemberAccess] - Ray adds it
        return cast(int, ray.get(begin(key)))

    def end(self, key: str) -> None:
        """Note an end."""
        ray.get(self._attempts.end.remote(key))  # pyright: ignore[reportFunctionMemberAccess] - as above


@contextmanager
def _told(config: Config) -> Generator[Metrics]:
    """Yield the metrics of this job, which its node's documented port answers with while it goes on.

    Workers count nothing themselves, they may be on other nodes: what they took comes back with each photo.
    """
    metrics = Metrics()
    stop = serve_metrics(metrics, host=config.metrics_host, port=config.metrics_port)
    try:
        yield metrics
    finally:
        stop()


@contextmanager
def _started(request: IngestRequest) -> Generator[None]:
    """Join the cluster of the request, or start workers on this machine; leave or end them afterwards."""
    if request.address is not None:
        ray.init(request.address, log_to_driver=False, logging_level=logging.ERROR)
    else:
        _start_here(request)
    try:
        yield
    finally:
        ray.shutdown()


def _start_here(request: IngestRequest) -> None:
    """Start Ray on this machine. Raises ServiceUnavailable when it does not come up, a few times over."""
    for left in reversed(range(_STARTS)):
        try:
            ray.init(
                "local",
                num_cpus=request.readers + request.encoders * (request.threads or 1),
                num_gpus=None if request.gpus else 0,
                object_store_memory=2 * request.memory_bytes,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:  # what Ray raises for a node that is not there after 30 s is no class of its own
            _LOG.warning("ray_not_started tries_left=%d reason=%r", left, error)
            ray.shutdown()
            if left == 0:
                raise ServiceUnavailable(f"Ray does not start on this machine: {error}") from error
        else:
            return
