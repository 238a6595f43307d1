"""What the process does besides serving, and where it listens."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from pathlib import Path

import pytest
from fakes.gateways import make_gateway

from glyphseek.errors import SettingError
from glyphseek_gateway.__main__ import main
from glyphseek_gateway.keys import KeyFile
from glyphseek_gateway.listening import Doors, choose_host, listening


def test_a_new_key_is_printed_with_its_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--new-key", "web", "--scopes", "read,write"]) == 0
    key, entry = (line.partition(": ")[2].strip() for line in capsys.readouterr().out.splitlines())
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [json.loads(entry)]}))
    assert KeyFile(path).identify(key).scopes == {"read", "write"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--new-key", "web", "--scopes", "all"], "some of read, write, admin"),
        (["--new-key", "a b"], "the name of a key is 'a b'"),
        (["--config", "/nowhere/at-all.yaml"], "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert reason in told
    assert told.count("\n") == 1


def test_without_keys_only_this_machine_is_listened_to_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert choose_host("0.0.0.0", has_keys=False) == "127.0.0.1"
    assert "no_keys host=127.0.0.1" in caplog.text
    assert choose_host("0.0.0.0", has_keys=True) == "0.0.0.0"


@pytest.mark.parametrize("kind", ["http_port", "grpc_port"])
def test_a_port_that_is_taken_is_told(kind: str) -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = int(taken.getsockname()[1])
            doors = Doors(http_port=port) if kind == "http_port" else Doors(grpc_port=port)
            async with listening(gateway, doors):
                raise AssertionError("it listens")

    gateway = make_gateway()
    with pytest.raises(SettingError, match="cannot listen on 127"):
        asyncio.run(run())
    gateway.close()
