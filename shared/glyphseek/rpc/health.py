"""Whether a service is ready, asked as `grpc.health.v1`."""

from __future__ import annotations

from typing import cast

from grpc_health.v1 import health_pb2, health_pb2_grpc

from glyphseek.errors import ServiceUnavailable
from glyphseek.rpc.client import Client, UnaryMethod

_SERVING = health_pb2.HealthCheckResponse.SERVING


def check_health(client: Client, *, timeout_s: float) -> None:
    """Return when the service says that it can answer. Raises ServiceError when it says otherwise, or nothing."""
    stub = health_pb2_grpc.HealthStub(client.channel)
    check = cast("UnaryMethod[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]", getattr(stub, "Check"))  # noqa: B009 - its stubs lack it
    answer = client.call(check, health_pb2.HealthCheckRequest(), timeout_s=timeout_s, is_idempotent=False)
    if answer.status != _SERVING:
        raise ServiceUnavailable(f"{client.peer} is not ready")
