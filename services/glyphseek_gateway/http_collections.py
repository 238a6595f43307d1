"""Routes that look after collections."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Query

from glyphseek_gateway import http_bodies as bodies
from glyphseek_gateway import http_writing as writing
from glyphseek_gateway.application import Application
from glyphseek_gateway.http_searches import FindCaller
from glyphseek_gateway.keys import Caller


def collection_routes(application: Application, find_caller: FindCaller) -> APIRouter:
    """Return the routes; listing needs the scope `read`, the others `admin`."""
    router = APIRouter(tags=["collections"])

    @router.get("/collections", name="ListCollections")
    async def list_collections(caller: Caller = Depends(find_caller)) -> bodies.CollectionsBody:
        """Return all collections with their generations."""
        found = await application.list_collections(caller)
        return bodies.CollectionsBody(collections=[writing.write_collection(one) for one in found])

    @router.post("/collections", name="CreateCollection", status_code=201)
    async def create_collection(
        body: bodies.NewCollectionBody, caller: Caller = Depends(find_caller)
    ) -> bodies.CollectionBody:
        """Make a collection, or a generation of one for another model; the first is the current one."""
        return writing.write_collection(await application.create_collection(caller, body.name, model=body.model))

    @router.put("/collections/{collection}/alias", name="SwitchAlias")
    async def switch_alias(
        collection: str, body: bodies.AliasBody, caller: Caller = Depends(find_caller)
    ) -> bodies.CollectionBody:
        """Make another generation the current one, for all searches that begin afterwards."""
        return writing.write_collection(await application.switch_alias(caller, collection, body.model))

    @router.delete("/collections/{collection}", name="DropCollection", status_code=204)
    async def drop_collection(
        collection: str,
        model: str = Query("", description="The generation of this model is dropped; it must not be current."),
        all_generations: bool = Query(False, description="Everything is dropped."),
        caller: Caller = Depends(find_caller),
    ) -> None:
        """Remove a generation that is not current, or with `all_generations` the collection, for good."""
        await application.drop_collection(caller, collection, model=model, everything=all_generations)

    return router
