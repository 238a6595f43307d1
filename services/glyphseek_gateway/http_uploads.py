"""Photos that arrive over HTTP: files of a form, or addresses in JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException

from glyphseek.errors import DeadlineExceeded, InputError
from glyphseek.rpc.context import time_left
from glyphseek_gateway.asks import NewImage
from glyphseek_gateway.http_bodies import NewImagesBody, PhotoDetails
from glyphseek_gateway.limits import Limits, check_within

_FILES, _DETAILS, _MODEL = "files", "details", "model"
_DETAILS_READER = TypeAdapter(list[PhotoDetails])

OPENAPI_BODY: dict[str, object] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [_FILES],
                "properties": {
                    _FILES: {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "description": "JPEG, PNG, WebP, TIFF, BMP or GIF; one that cannot be read fails no other.",
                    },
                    _DETAILS: {
                        "type": "string",
                        "description": "JSON, an entry for each file in their order: "
                        '`[{"image_id": "a1", "name": "cafe.jpg", "metadata": {"city": "Oslo"}}]`.',
                    },
                    _MODEL: {
                        "type": "string",
                        "description": "Fingerprint or name of the model of another generation than the current one.",
                    },
                },
            }
        },
        "application/json": {"schema": {"$ref": "#/components/schemas/NewImagesBody"}},
    },
}
"""What the route says of its body, which it reads by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """The photos of one request."""

    images: tuple[NewImage, ...]
    model: str


async def read_upload(request: Request, limits: Limits) -> Upload:
    """Return the photos of a request's body within the time that the current call has.

    Raises InputError for a body of another kind or form, SettingError past the number of photos, DeadlineExceeded.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(time_left(limits.upload_s)):
            match kind:
                case "multipart/form-data":
                    upload = await _read_form(request, limits)
                case "application/json":
                    upload = _read_json(await request.body())
                case _:
                    raise InputError(f"the body is {kind[:80]!r}, it must be multipart/form-data or application/json")
    except TimeoutError as error:
        raise DeadlineExceeded("the body did not arrive before the deadline") from error
    check_within("the number of images", len(upload.images), 1, limits.max_upload_images)
    return upload


async def _read_form(request: Request, limits: Limits) -> Upload:
    try:
        async with request.form(max_files=limits.max_upload_images, max_fields=8) as form:
            return await _read_fields(form, limits)
    except MultiPartException as error:
        raise InputError(f"the form cannot be read: {error.message}") from error


async def _read_fields(form: FormData, limits: Limits) -> Upload:
    if unknown := sorted(form.keys() - {_FILES, _DETAILS, _MODEL}):
        raise InputError(
            f"the form has unknown fields: {', '.join(unknown)[:200]}; known: {_FILES}, {_DETAILS}, {_MODEL}"
        )
    files = [one for one in form.getlist(_FILES) if isinstance(one, UploadFile)]
    details = _read_details(form.get(_DETAILS), len(files))
    images = [await _read_file(file, one, limits) for file, one in zip(files, details, strict=True)]
    return Upload(images=tuple(images), model=_read_text(form.get(_MODEL)))


async def _read_file(file: UploadFile, details: PhotoDetails, limits: Limits) -> NewImage:
    """Return one photo; of one past the limit only as much is read as shows that it is."""
    return NewImage(
        content=await file.read(limits.max_image_bytes + 1),
        image_id=details.image_id,
        name=details.name or file.filename or "",
        metadata=details.metadata,
    )


def _read_details(field: object, count: int) -> Sequence[PhotoDetails]:
    text = _read_text(field)
    if not text:
        return [PhotoDetails()] * count
    try:
        details = _DETAILS_READER.validate_json(text)
    except ValidationError as error:
        raise InputError(f"{_DETAILS} cannot be read: {_describe(error)}") from error
    if len(details) != count:
        raise InputError(f"{_DETAILS} has {len(details)} entries for {count} files")
    return details


def _read_json(body: bytes) -> Upload:
    try:
        found = NewImagesBody.model_validate_json(body)
    except ValidationError as error:
        raise InputError(f"the body cannot be read: {_describe(error)}") from error
    return Upload(images=tuple(one.image() for one in found.images), model=found.model)


def _read_text(field: object) -> str:
    return field if isinstance(field, str) else ""


def _describe(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:5])
