"""Making a bucket, with minio-py: administration is simpler there, and obstore has none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from glyphseek.errors import MissingExtra, StoreUnavailable
from glyphseek.features.s3.settings import S3Settings

if TYPE_CHECKING:
    from minio import Minio


def make_bucket(settings: S3Settings) -> bool:
    """Make the bucket of the settings unless it is there; return whether it was made.

    Raises StoreUnavailable, naming endpoint and bucket, when the server refuses or does not answer within the deadline;
    MissingExtra when minio is not installed.
    """
    client = _connect(settings)
    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    try:
        if client.bucket_exists(settings.bucket):
            return False
        client.make_bucket(settings.bucket)
    except (MinioException, HTTPError) as error:
        code = getattr(error, "code", type(error).__name__)
        if code == "BucketAlreadyOwnedByYou":  # somebody else made it between the two calls
            return False
        raise StoreUnavailable(f"{settings.endpoint} could not make bucket {settings.bucket!r}: {code}") from None
    return True


def _connect(settings: S3Settings) -> Minio:
    try:
        from minio import Minio
        from minio.credentials.providers import ChainedProvider, EnvAWSProvider, IamAwsProvider, StaticProvider
    except ModuleNotFoundError as error:
        raise MissingExtra("making buckets needs an extra: pip install 'glyphseek[s3]'") from error
    from urllib3 import PoolManager, Retry, Timeout

    parts = urlsplit(settings.endpoint)
    keys = (
        StaticProvider(settings.access_key, settings.secret_key)
        if settings.access_key
        else ChainedProvider([EnvAWSProvider(), IamAwsProvider()])
    )
    timeout = Timeout(connect=settings.connect_timeout_s, read=settings.attempt_timeout_s)
    pool = PoolManager(timeout=timeout, retries=Retry(2, backoff_factor=0.1), num_pools=1)
    secure = parts.scheme == "https"
    return Minio(parts.netloc, credentials=keys, secure=secure, region=settings.region, http_client=pool)
