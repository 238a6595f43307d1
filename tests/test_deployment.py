from __future__ import annotations

import pytest

from glyphseek.config import Config
from glyphseek.deployment import milvus_settings, s3_settings
from glyphseek.errors import SettingError


def test_settings_of_both_stores_come_from_one_configuration() -> None:
    config = Config(
        milvus_uri="http://db:19530", tenant="mine", milvus_index="IVF_SQ8", s3_bucket="blobs", s3_prefix="a/"
    )
    milvus, s3 = milvus_settings(config), s3_settings(config)
    assert (milvus.uri, milvus.tenant, milvus.index.kind) == ("http://db:19530", "mine", "IVF_SQ8")
    assert (s3.bucket, s3.prefix) == ("blobs", "a/")


def test_an_unknown_index_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match="milvus_index is 'FAST', it must be one of FLAT, HNSW"):
        milvus_settings(Config(milvus_index="FAST"))


def test_secrets_are_in_no_printed_form_of_the_stores_settings() -> None:
    config = Config(milvus_token="hidden", s3_access_key="hidden-a", s3_secret_key="hidden-b")
    assert "hidden" not in f"{milvus_settings(config)!r} {s3_settings(config)!r}"
