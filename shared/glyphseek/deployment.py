"""From a configuration to the stores of a deployment: a Milvus server and an S3 store."""

from __future__ import annotations

from glyphseek.config import Config
from glyphseek.errors import SettingError
from glyphseek.features.s3 import S3FeatureStore, S3Settings
from glyphseek.types import ModelCard
from glyphseek.vectors.milvus_server import MilvusStore
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings


def milvus_settings(config: Config) -> MilvusSettings:
    """Return how to speak to the deployment's Milvus. Raises SettingError with the value and what is possible."""
    kinds = [kind.value for kind in IndexKind]
    if config.milvus_index not in kinds:
        raise SettingError(f"milvus_index is {config.milvus_index!r}, it must be one of {', '.join(kinds)}")
    return MilvusSettings(
        uri=config.milvus_uri,
        token=config.milvus_token,
        database=config.milvus_database,
        tenant=config.tenant,
        timeout_s=config.milvus_timeout_s,
        index=IndexSettings(kind=IndexKind(config.milvus_index)),
    )


def s3_settings(config: Config) -> S3Settings:
    """Return how to speak to the deployment's S3 store. Raises SettingError."""
    return S3Settings(
        endpoint=config.s3_endpoint,
        bucket=config.s3_bucket,
        prefix=config.s3_prefix,
        access_key=config.s3_access_key,
        secret_key=config.s3_secret_key,
        region=config.s3_region,
    )


def open_vectors(config: Config, *, gallery: str, card: ModelCard, is_new_generation: bool = False) -> MilvusStore:
    """Open a gallery on the deployment's Milvus as `MilvusStore.open` does, with its errors."""
    return MilvusStore.open(milvus_settings(config), gallery=gallery, card=card, is_new_generation=is_new_generation)


def open_features(config: Config) -> S3FeatureStore:
    """Open the deployment's blobs. Raises StoreUnavailable when the bucket does not answer or is not there."""
    return S3FeatureStore(s3_settings(config))
