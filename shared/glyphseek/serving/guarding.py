"""Who may call: anybody who has the secret of the deployment, or, where there is none, processes of this machine.

Ray Serve's gRPC proxy listens on all interfaces and cannot be told otherwise, so it is the servicers that refuse.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol, TypeVar, cast
from urllib.parse import unquote

from glyphseek.errors import Unauthenticated
from glyphseek.metrics import Metrics
from glyphseek.rpc.calls import Calls, GrpcContext

A = TypeVar("A")

SERVICE_TOKEN = "x-glyphseek-service-token"
"""The metadata that carries the secret between services."""


class _Peer(Protocol):
    def peer(self) -> str:
        """Return whom the transport speaks to: `ipv4:127.0.0.1:50062`."""
        ...


class GuardedCalls(Calls):
    """Calls that answer only who may call; others get Unauthenticated, before anything of their request is read."""

    def __init__(self, service: str, *, token: str = "", metrics: Metrics | None = None) -> None:
        """`token` is the secret; without one only callers on this machine are answered."""
        super().__init__(service, metrics=metrics)
        self._token = token.encode()

    async def answer(self, method: str, grpc_context: GrpcContext, work: Callable[[], Awaitable[A]]) -> A:
        """Return what `work` answers, as `Calls` does."""

        async def guarded() -> A:
            self._check(grpc_context)
            return await work()

        return await super().answer(method, grpc_context, guarded)

    async def stream(
        self, method: str, grpc_context: GrpcContext, work: Callable[[], AsyncGenerator[A]]
    ) -> AsyncGenerator[A]:
        """Yield what `work` yields, as `Calls` does."""

        async def guarded() -> AsyncGenerator[A]:
            self._check(grpc_context)
            async with aclosing(work()) as answers:
                async for one in answers:
                    yield one

        async with aclosing(super().stream(method, grpc_context, guarded)) as answers:
            async for answer in answers:
                yield answer

    def _check(self, grpc_context: GrpcContext) -> None:
        if self._token:
            sent = dict(grpc_context.invocation_metadata() or ()).get(SERVICE_TOKEN, "")
            if not hmac.compare_digest(sent.encode() if isinstance(sent, str) else sent, self._token):
                raise Unauthenticated("the call is not of a service of this deployment")
        elif not is_of_this_machine(cast(_Peer, grpc_context).peer()):
            raise Unauthenticated("without keys only callers on this machine are answered")


def credentials_of(token: str) -> list[tuple[str, str]]:
    """Return what a client sends so that services with this secret answer it."""
    return [(SERVICE_TOKEN, token)] if token else []


def is_of_this_machine(peer: str) -> bool:
    """Return whether a peer, as gRPC or Ray Serve writes it, is a process of this machine."""
    kind, _, rest = peer.partition(":")
    if kind == "unix":
        return True
    host = unquote(rest if kind in ("ipv4", "ipv6") else peer).rpartition(":")[0].strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
