import pytest

from glyphseek.errors import SettingError
from glyphseek.rpc.endpoint import Endpoint


@pytest.mark.parametrize(
    ("text", "host", "port", "application"),
    [
        ("127.0.0.1:50062", "127.0.0.1", 50062, ""),
        (" reranker.default.svc:80 ", "reranker.default.svc", 80, ""),
        ("serve:9000/reranker", "serve", 9000, "reranker"),
        ("[::1]:9000/matcher", "[::1]", 9000, "matcher"),
    ],
)
def test_an_address_is_host_port_and_perhaps_an_application(text: str, host: str, port: int, application: str) -> None:
    found = Endpoint.parse(text)
    assert (found.host, found.port, found.application) == (host, port, application)
    assert str(found) == text.strip()
    assert found.address == f"{host}:{port}"


@pytest.mark.parametrize(
    "text", ["", "reranker", "reranker:", "reranker:0", "reranker:65536", "a:1/b/c", "a b:1", "::1:9"]
)
def test_another_form_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(SettingError, match="it must be host:port"):
        Endpoint.parse(text)
