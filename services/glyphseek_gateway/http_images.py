"""Routes that add, remove and list images."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Query, Request

from glyphseek.errors import ImageNotFound
from glyphseek_gateway import http_bodies as bodies
from glyphseek_gateway import http_writing as writing
from glyphseek_gateway.application import Application
from glyphseek_gateway.http_searches import FindCaller
from glyphseek_gateway.http_uploads import OPENAPI_BODY, read_upload
from glyphseek_gateway.keys import Caller


def image_routes(application: Application, find_caller: FindCaller) -> APIRouter:
    """Return the routes; those that change something need the scope `write`, the others `read`."""
    router = APIRouter(tags=["images"])

    @router.post("/collections/{collection}/images", name="AddImages", openapi_extra={"requestBody": OPENAPI_BODY})
    async def add_images(
        collection: str, request: Request, caller: Caller = Depends(find_caller)
    ) -> bodies.AddedImagesBody:
        """Add photos: files of a form, or addresses in an allowed bucket as JSON. Sending them again changes nothing.

        What is not refused is committed when the answer comes. A photo that is refused fails no other.
        """
        with application.upload(caller) as place:
            upload = await read_upload(request, application.limits)
            added = await application.add_images(place, collection, upload.images, model=upload.model)
        return writing.write_added(added)

    @router.get("/collections/{collection}/images", name="ListImages")
    async def list_images(
        collection: str,
        page_size: int | None = Query(None, description="1 to 1000; 100 when absent."),
        page_token: str = Query("", description="`next_page_token` of the answer before."),
        caller: Caller = Depends(find_caller),
    ) -> bodies.ImagePageBody:
        """Return the images by id, a page at a time."""
        page = await application.list_images(caller, collection, page_size=page_size, page_token=page_token)
        return writing.write_images(page)

    @router.get("/collections/{collection}/images/{image_id}", name="GetImage")
    async def get_image(collection: str, image_id: str, caller: Caller = Depends(find_caller)) -> bodies.ImageBody:
        """Return what is known of one image."""
        return writing.write_image(await application.get_image(caller, collection, image_id))

    @router.delete("/collections/{collection}/images/{image_id}", name="DeleteImages")
    async def delete_image(
        collection: str,
        image_id: str,
        model: str = Query("", description="Fingerprint or name of the model of another generation."),
        caller: Caller = Depends(find_caller),
    ) -> bodies.RemovalBody:
        """Remove an image, so that no search finds it that begins after the answer."""
        removal = await application.delete_images(caller, collection, [image_id], model=model)
        if removal.unknown_ids:
            raise ImageNotFound(f"collection {collection!r} has no image {image_id[:200]!r}")
        return writing.write_removal(removal)

    return router
