"""Blobs as objects of an S3 bucket: MinIO, Ceph, AWS and whatever else speaks the protocol."""

from glyphseek.features.s3.settings import S3Settings
from glyphseek.features.s3.store import S3FeatureStore

__all__ = ["S3FeatureStore", "S3Settings"]
