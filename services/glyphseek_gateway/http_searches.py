"""Routes that find images."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Depends, Query, Request, Response

from glyphseek.errors import ImageNotFound
from glyphseek_gateway import http_bodies as bodies
from glyphseek_gateway import http_writing as writing
from glyphseek_gateway.application import Application
from glyphseek_gateway.asks import HitAsk, SearchAsk
from glyphseek_gateway.keys import Caller

FindCaller = Callable[[Request], Awaitable[Caller]]


def search_routes(application: Application, find_caller: FindCaller) -> APIRouter:
    """Return the routes; all need the scope `read`."""
    router = APIRouter(tags=["search"])

    @router.post("/collections/{collection}/search", name="Search")
    async def search(
        collection: str, body: bodies.SearchBody, caller: Caller = Depends(find_caller)
    ) -> bodies.SearchAnswerBody:
        """Answer one query."""
        return writing.write_answer(await application.search(caller, body.ask(collection)))

    @router.get("/collections/{collection}/search", name="Search")
    async def search_simply(
        collection: str,
        q: str = Query(description="What to look for."),
        page_size: int | None = Query(None, description="Hits of one page, 1 to 100; 10 when absent."),
        page_token: str = Query("", description="`next_page_token` of the answer before."),
        rerank: int | None = Query(None, description="How many images are reranked, 0 to 512."),
        filter: str = Query("", description='Conditions on metadata: `city == "Oslo" and year >= 2020`.'),
        with_attention: bool = Query(False, description="Attention maps are wanted, of models that have them."),
        caller: Caller = Depends(find_caller),
    ) -> bodies.SearchAnswerBody:
        """Answer one query."""
        ask = SearchAsk(
            collection=collection,
            query=q,
            page_size=page_size,
            page_token=page_token,
            rerank=rerank,
            filter=filter,
            with_attention=with_attention,
        )
        return writing.write_answer(await application.search(caller, ask))

    @router.post("/search:batch", name="BatchSearch")
    async def search_batch(
        body: bodies.BatchSearchBody, caller: Caller = Depends(find_caller)
    ) -> bodies.BatchAnswerBody:
        """Answer several queries; one that cannot be answered is told in its own result."""
        asks = [one.ask(one.collection) for one in body.searches]
        return writing.write_batch(await application.search_batch(caller, asks))

    @router.get("/collections/{collection}/images/{image_id}/hit", name="GetHit")
    async def get_hit(
        collection: str,
        image_id: str,
        q: str = Query(description="What to look for."),
        caller: Caller = Depends(find_caller),
    ) -> bodies.HitAnswerBody:
        """Return one image as it answers a query, with what answers each word and where."""
        ask = HitAsk(collection=collection, query=q, image_id=image_id)
        return writing.write_hit_answer(await application.look_at(caller, ask))

    @router.get(
        "/collections/{collection}/images/{image_id}/hit.png",
        name="GetHit",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}, "description": "The photo with boxes, or lit up by attention."}},
    )
    async def get_picture(
        collection: str,
        image_id: str,
        q: str = Query(description="What to look for."),
        width: int = Query(application.limits.picture_width, description="Pixels, 64 to 2048."),
        caller: Caller = Depends(find_caller),
    ) -> Response:
        """Return a picture of one image as it answers a query; 404 where the photo's bytes are not kept."""
        ask = HitAsk(collection=collection, query=q, image_id=image_id, picture_width=width)
        answer = await application.look_at(caller, ask)
        if not answer.picture:
            raise ImageNotFound(f"the bytes of image {image_id[:200]!r} are not kept, or cannot be had now")
        return Response(answer.picture, media_type="image/png")

    return router
