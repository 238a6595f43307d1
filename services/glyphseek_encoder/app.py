"""The encoder as a Ray Serve application: the only module of this service that names Ray.

serve run glyphseek_encoder.app:build
"""

from __future__ import annotations

from grpc_health.v1 import health_pb2
from ray import serve

from glyphseek.api.v1 import encoder_service_pb2 as pb
from glyphseek.rpc.calls import GrpcContext
from glyphseek.serving.replicas import Arguments, Replica, check_names, read_work
from glyphseek_encoder.assembling import ONE_BATCH_OF_IMAGES, SERVICE, assemble
from glyphseek_encoder.batching import BatchSettings


class EncoderReplica:
    """One process of the encoder; every method is what Serve calls for one request."""

    def __init__(self, arguments: Arguments) -> None:
        """The configuration is that of the process' environment, over that of the file if one is named.

        Others are: batch_items, batch_waiting and batch_wait_ms (see `BatchSettings`); at_once and waiting, of requests
        with images (see `WorkSettings`). Raises SettingError for unknown names.
        """
        check_names(arguments, frozenset({"batch_items", "batch_waiting", "batch_wait_ms"}))
        batches, work = _read_batches(arguments), read_work(arguments, ONE_BATCH_OF_IMAGES)
        self._replica = Replica(
            SERVICE, lambda config, metrics: assemble(config, metrics, batches=batches, work=work), arguments
        )
        self._service = self._replica.service

    def __del__(self) -> None:
        """Release everything when Serve ends the replica."""
        if replica := getattr(self, "_replica", None):
            replica.close()

    async def ListModels(self, request: pb.ListModelsRequest, grpc_context: GrpcContext) -> pb.ListModelsResponse:
        """Return the models that are loaded."""
        return await self._service.servicer.ListModels(request, grpc_context)

    async def EncodeQueries(
        self, request: pb.EncodeQueriesRequest, grpc_context: GrpcContext
    ) -> pb.EncodeQueriesResponse:
        """Return the vectors of query terms."""
        return await self._service.servicer.EncodeQueries(request, grpc_context)

    async def EncodeImages(self, request: pb.EncodeImagesRequest, grpc_context: GrpcContext) -> pb.EncodeImagesResponse:
        """Encode images and write their blobs."""
        return await self._service.servicer.EncodeImages(request, grpc_context)

    async def Check(self, request: health_pb2.HealthCheckRequest) -> health_pb2.HealthCheckResponse:
        """Return whether calls can be answered, as `grpc.health.v1` wants it."""
        return await self._replica.check()


def build(arguments: Arguments) -> serve.Application:
    """Return the application for Serve; see `EncoderReplica` for the arguments."""
    return serve.deployment(name=SERVICE)(EncoderReplica).bind(arguments)


def _read_batches(arguments: Arguments) -> BatchSettings:
    default = BatchSettings()
    return BatchSettings(
        items=int(arguments.get("batch_items", default.items)),
        waiting=int(arguments.get("batch_waiting", default.waiting)),
        wait_s=float(arguments.get("batch_wait_ms", 1000 * default.wait_s)) / 1000,
    )
