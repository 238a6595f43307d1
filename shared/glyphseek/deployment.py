"""From a configuration to the stores of a deployment: a Milvus server and an S3 store."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from glyphseek.config import Config
from glyphseek.errors import GalleryNotFound, ModelMismatch, SettingError
from glyphseek.features.s3 import S3FeatureStore, S3Settings
from glyphseek.indexing import EncodingSettings
from glyphseek.models.loading import find_model, lasting_name
from glyphseek.tokens import CodecName
from glyphseek.types import ModelCard
from glyphseek.vectors.milvus_generations import Generation, MilvusGenerations
from glyphseek.vectors.milvus_rows import MilvusRows
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


@contextmanager
def open_all_rows(config: Config) -> Generator[tuple[MilvusRows, ...]]:
    """Yield the tenant's image rows in every generation of every gallery; no model is needed for that."""
    with MilvusGenerations(milvus_settings(config)) as generations:
        found = generations.list()
        yield tuple(MilvusRows(calls=generations.calls, generation=one, tenant=config.tenant) for one in found)


def open_features(config: Config) -> S3FeatureStore:
    """Open the deployment's blobs. Raises StoreUnavailable when the bucket does not answer or is not there."""
    return S3FeatureStore(s3_settings(config))


def encoding_settings(config: Config) -> EncodingSettings:
    """Return how images are turned into blobs. Raises SettingError with the value and what is possible."""
    codecs = [codec.value for codec in CodecName]
    if config.codec not in codecs:
        raise SettingError(f"codec is {config.codec!r}, it must be one of {', '.join(codecs)}")
    return EncodingSettings(codec=CodecName(config.codec))


def choose_model(config: Config, collection: str, *, wanted: str | None = None) -> str:
    """Return the name or folder of the model for a collection: the wanted one, else its own, else the default.

    Raises ModelMismatch when none of the configured models wrote it, ModelNotFound, StoreUnavailable.
    """
    if wanted is not None:
        return lasting_name(wanted)
    try:
        with MilvusGenerations(milvus_settings(config)) as generations:
            current = generations.current(collection)
    except GalleryNotFound:
        return lasting_name(config.models[0])
    return model_of(config, current)


def model_of(config: Config, generation: Generation) -> str:
    """Return the name of the configured model that wrote a generation. Raises ModelMismatch, ModelNotFound."""
    from glyphseek.models.checkpoint import load_manifest

    for name in config.models:
        if load_manifest(find_model(name)).fingerprint == generation.fingerprint:
            return lasting_name(name)
    raise ModelMismatch(
        f"collection {generation.gallery!r} was written by {generation.model} ({generation.fingerprint}), which is not "
        f"among the models of this deployment: {', '.join(config.models)}"
    )
