from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from glyphseek.config import Config, load_config
from glyphseek.errors import SettingError


def test_the_environment_stands_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "glyphseek.yaml"
    file.write_text("milvus_uri: http://db:19530\nmax_searches: 3\nmodels: [a, b]\nkeep_photos: no\n")
    config = load_config(file, {"GLYPHSEEK_MAX_SEARCHES": "5", "GLYPHSEEK_ALLOWED_BUCKETS": "one, two", "HOME": "/x"})
    assert config.milvus_uri == "http://db:19530"
    assert config.max_searches == 5
    assert config.models == ("a", "b")
    assert config.allowed_buckets == ("one", "two")
    assert not config.keep_photos
    assert config.deadline_s == Config().deadline_s


def test_json_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "glyphseek.json"
    file.write_text('{"rerank_s": 0.25, "log_queries": true}')
    config = load_config(file, {})
    assert (config.rerank_s, config.log_queries) == (0.25, True)


def test_another_process_gets_the_same_configuration_from_the_environment() -> None:
    config = Config(models=("a", "b"), s3_secret_key="kept", keep_photos=False, deadline_s=0.75)
    assert load_config(None, config.as_environment()) == config
    assert len(config.as_environment()) == len(fields(Config)) - 1


def test_unknown_names_in_a_file_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    file = tmp_path / "glyphseek.yaml"
    file.write_text("milvus_url: http://db:19530\n")
    with pytest.raises(SettingError, match="unknown names: milvus_url; known are: allowed_buckets, api_keys_file"):
        load_config(file, {})


def test_variables_that_kubernetes_sets_are_listed_and_change_nothing() -> None:
    config = load_config(None, {"GLYPHSEEK_GATEWAY_SERVICE_HOST": "10.0.0.1"})
    assert config == Config()
    assert config.ignored == ("GLYPHSEEK_GATEWAY_SERVICE_HOST",)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("GLYPHSEEK_HTTP_PORT", "tcp://10.0.0.1:80", "http_port is 'tcp://10.0.0.1:80', it must be a whole number"),
        ("GLYPHSEEK_HTTP_PORT", "65536", "http_port is 65536, it must be within 0 to 65535"),
        ("GLYPHSEEK_KEEP_PHOTOS", "maybe", "keep_photos is 'maybe', it must be true or false"),
        ("GLYPHSEEK_DEADLINE_S", "nan", "deadline_s is nan, it must be within 0.001 to 3600"),
        ("GLYPHSEEK_MODELS", " , ", "models is empty"),
        ("GLYPHSEEK_LOG_LEVEL", "LOUD", "log_level is 'LOUD', it must be one of DEBUG"),
    ],
)
def test_impossible_values_are_refused_with_name_value_and_limit(variable: str, value: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        load_config(None, {variable: value})


@pytest.mark.parametrize("content", ["milvus_uri: [", "- a\n- b\n", "{"])
def test_a_file_that_is_not_names_with_values_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(content)
    with pytest.raises(SettingError, match=r"broken\.yaml"):
        load_config(file, {})


def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"gone\.yaml"):
        load_config(tmp_path / "gone.yaml", {})


def test_secrets_are_in_no_printed_form() -> None:
    config = Config(milvus_token="root:hidden", s3_access_key="hidden-a", s3_secret_key="hidden-b")
    assert "hidden" not in f"{config!r} {config} {config.describe()}"
    assert config.describe()["s3_secret_key"] == "***"
    assert replace(config, s3_secret_key="").describe()["s3_secret_key"] == ""
