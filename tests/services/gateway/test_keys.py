"""Who may do what."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
from fakes.gateways import write_keys

from glyphseek.errors import PermissionDenied, SettingError, Unauthenticated
from glyphseek_gateway.keys import KeyFile, NoKeys, Scope, hash_key, make_key, open_keys, read_scopes, secret_of


def test_a_key_is_known_by_its_hash_and_has_its_scopes_only(tmp_path: Path) -> None:
    keys = KeyFile(write_keys(tmp_path / "keys.json", {"web": ["read"], "loader": ["write"]}))
    caller = keys.identify("secret-of-web")
    assert caller.name == "web"
    caller.check(Scope.READ)
    with pytest.raises(PermissionDenied, match="key 'web' has the scopes read; this needs write"):
        caller.check(Scope.WRITE)


@pytest.mark.parametrize("secret", ["secret-of-we", "secret-of-web ", "SECRET-OF-WEB", "x" * 100_000, "\udce9"])
def test_another_key_is_not_known_and_is_not_repeated(tmp_path: Path, secret: str) -> None:
    keys = KeyFile(write_keys(tmp_path / "keys.json", {"web": ["read"]}))
    with pytest.raises(Unauthenticated) as told:
        keys.identify(secret)
    assert str(told.value) == "the key is not known"


def test_no_key_is_told_how_to_send_one(tmp_path: Path) -> None:
    keys = KeyFile(write_keys(tmp_path / "keys.json", {"web": ["read"]}))
    with pytest.raises(Unauthenticated, match="Authorization: Bearer KEY"):
        keys.identify("")


def test_without_a_file_everybody_may_do_everything() -> None:
    assert isinstance(open_keys(""), NoKeys)
    assert open_keys("").identify("").scopes == frozenset(Scope)


def test_a_new_key_works_and_its_entry_does_not_hold_it(tmp_path: Path) -> None:
    secret, entry = make_key("robot", read_scopes("read, admin"))
    assert secret not in json.dumps(entry)
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [entry]}))
    assert KeyFile(path).identify(secret).scopes == {Scope.READ, Scope.ADMIN}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("nothing", "cannot be read"),
        ("[]", "at least one"),
        ('{"keys": []}', "at least one"),
        ('{"keys": [{"name": "a b", "sha256": "", "scopes": []}]}', "name of a key is 'a b'"),
        ('{"keys": [{"name": "a", "sha256": "secret", "scopes": ["read"]}]}', "64 small hexadecimal"),
        (f'{{"keys": [{{"name": "a", "sha256": "{"0" * 64}", "scopes": ["all"]}}]}}', "must be some of read, write"),
        (f'{{"keys": [{{"name": "a", "sha256": "{"0" * 64}", "scopes": "read"}}]}}', "must be a list"),
        (f'{{"keys": {json.dumps([{"name": "a", "sha256": "0" * 64, "scopes": ["read"]}] * 2)}}}', "twice"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(SettingError, match=reason):
        KeyFile(path)


def test_a_removed_key_stops_working_without_a_restart(tmp_path: Path) -> None:
    now = [0.0]
    path = write_keys(tmp_path / "keys.json", {"web": ["read"], "old": ["read"]})
    keys = KeyFile(path, clock=lambda: now[0])
    write_keys(path, {"web": ["read"]})
    keys.identify("secret-of-old")  # the file is not looked at with every request
    now[0] = 10.0
    with pytest.raises(Unauthenticated):
        keys.identify("secret-of-old")
    assert keys.identify("secret-of-web").name == "web"


def test_a_file_that_became_unreadable_changes_nothing_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    path = write_keys(tmp_path / "keys.json", {"web": ["read"]})
    keys = KeyFile(path, clock=lambda: now[0])
    os.truncate(path, 5)
    now[0] = 10.0
    with caplog.at_level(logging.ERROR):
        assert keys.identify("secret-of-web").name == "web"
    assert "keys_not_read" in caplog.text
    assert hash_key("secret-of-web") not in caplog.text


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer  abc "}, "abc"),
        ({"x-api-key": " abc"}, "abc"),
        ({"authorization": "Basic abc"}, ""),
        ({"authorization": "Basic abc", "x-api-key": "def"}, "def"),
        ({}, ""),
    ],
)
def test_a_key_is_read_from_either_header(headers: dict[str, str], secret: str) -> None:
    assert secret_of(headers) == secret
