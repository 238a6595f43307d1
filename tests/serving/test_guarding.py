import asyncio

import pytest
from fakes.running import running
from fakes.word_gallery import CARD, WordModel

from glyphseek.errors import Unauthenticated
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.indexing import EncodingSettings
from glyphseek.metrics import Metrics
from glyphseek.rpc.client import Client
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.remote import list_models
from glyphseek.serving.guarding import GuardedCalls, credentials_of, is_of_this_machine
from glyphseek_encoder.assembling import build_service

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:127.0.0.1:5000", True),
        ("127.0.0.1:5000", True),
        ("ipv6:%5B::1%5D:5000", True),
        ("ipv6:[::ffff:127.0.0.1]:5000", True),
        ("[::1]:5000", True),
        ("unix:", True),
        ("ipv4:10.0.0.7:5000", False),
        ("ipv6:[::ffff:10.0.0.7]:5000", False),
        ("10.0.0.7:5000", False),
        ("localhost.example:1", False),
        ("", False),
    ],
)
def test_peers_of_this_machine_are_told_from_others(peer: str, expected: bool) -> None:
    assert is_of_this_machine(peer) is expected


def test_with_a_secret_only_those_who_send_it_are_answered() -> None:
    service = build_service(
        [WordModel()], MemoryFeatureStore(), Metrics(), settings=EncodingSettings(), token="a secret"
    )
    with running(service) as client:
        with pytest.raises(Unauthenticated, match="not of a service of this deployment"):
            list_models(client, timeout_s=10.0)
        address = Endpoint.parse(client.peer.split()[1])
        for token, is_right in (("another", False), ("a secret", True)):
            with Client(address, service="encoder", credentials=credentials_of(token)) as other:
                if is_right:
                    assert list_models(other, timeout_s=10.0) == [CARD]
                else:
                    with pytest.raises(Unauthenticated):
                        list_models(other, timeout_s=10.0)


class _Stranger:
    """A call from another machine, as Ray Serve shows it."""

    def __init__(self) -> None:
        self.code: object = None

    def peer(self) -> str:
        return "10.0.0.7:1234"

    def invocation_metadata(self) -> list[tuple[str, str | bytes]]:
        return []

    def set_code(self, code: object) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details

    def set_trailing_metadata(self, metadata: object) -> None:
        self.metadata = metadata


def test_without_a_secret_another_machine_is_refused_before_its_work_begins() -> None:
    begun: list[int] = []

    async def work() -> int:
        begun.append(1)
        return 1

    context = _Stranger()
    asyncio.run(GuardedCalls("test").answer("Ask", context, work))
    assert getattr(context.code, "name", "") == "UNAUTHENTICATED"
    assert "only callers on this machine" in context.details
    assert begun == []
