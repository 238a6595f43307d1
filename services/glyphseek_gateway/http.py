"""The application over HTTP, put together from its routes; what surrounds each request is `http_edge`."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from glyphseek import __version__
from glyphseek.errors import GlyphseekError
from glyphseek.metrics import Metrics
from glyphseek.rpc.calls import Calls
from glyphseek.rpc.problems import MEDIA_TYPE
from glyphseek_gateway import http_bodies as bodies
from glyphseek_gateway import http_writing as writing
from glyphseek_gateway.application import Application
from glyphseek_gateway.http_collections import collection_routes
from glyphseek_gateway.http_edge import Edge, identify, tell_error
from glyphseek_gateway.http_images import image_routes
from glyphseek_gateway.http_searches import search_routes
from glyphseek_gateway.keys import Keys
from glyphseek_gateway.readiness import Readiness

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_DESCRIPTION = """Finds photos by the words written in them, without OCR.

Send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Two headers are optional: `X-Request-Id`, which comes
back, and `X-Deadline-Ms`, after which nobody needs the answer. Errors are `application/problem+json`; 429 and its
`Retry-After` say that there is too much to do.
"""
_PROBLEM: dict[int | str, dict[str, object]] = {
    "default": {
        "description": "A problem: its `type` is the kind of error, its `detail` has the value and the limit.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
    }
}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def build_http(
    application: Application,
    *,
    keys: Keys,
    readiness: Readiness,
    metrics: Metrics,
    calls: Calls,
    sends_request_id: bool = True,
) -> FastAPI:
    """Return the ASGI application. `calls` logs and counts its requests; `sends_request_id` as for `Edge`."""
    app = FastAPI(title="Glyphseek", version=__version__, description=_DESCRIPTION, docs_url=None, redoc_url=None)
    app.add_middleware(Edge, calls=calls, limits=application.limits, sends_request_id=sends_request_id)
    for kind in (GlyphseekError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, tell_error)
    app.include_router(health_routes(readiness, metrics))
    caller = identify(keys)
    for router in (
        search_routes(application, caller),
        image_routes(application, caller),
        collection_routes(application, caller),
    ):
        app.include_router(router, prefix="/v1", responses=_PROBLEM)
    _describe(app)
    return app


def health_routes(readiness: Readiness, metrics: Metrics) -> APIRouter:
    """Return what is asked without a key, by those who look after the process."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def is_alive() -> dict[str, str]:
        """Say that the process is alive."""
        return {"status": "alive"}

    @router.get("/readyz", responses={200: {"model": bodies.ReadinessBody}, 503: {"model": bodies.ReadinessBody}})
    async def is_ready() -> JSONResponse:
        """Say whether searches can be answered, and how each part that they need is doing."""
        report = await readiness.check()
        return JSONResponse(writing.write_report(report).model_dump(), status_code=200 if report.is_ready else 503)

    @router.get("/metrics")
    async def expose_metrics() -> Response:
        """Return the metrics of this node as Prometheus reads them."""
        return Response(metrics.expose(), media_type=_METRICS_TYPE)

    return router


def _describe(app: FastAPI) -> None:
    """Add to the description of the interface what FastAPI cannot know: problems, and where the key goes."""
    whole = app.openapi()
    components = whole["components"]
    _, told = models_json_schema(
        [(bodies.ProblemBody, "validation"), (bodies.NewImagesBody, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    components["schemas"] |= told["$defs"]
    components["securitySchemes"] = _KEYS
    for path, operations in whole["paths"].items():
        for operation in operations.values() if path.startswith("/v1/") else ():
            operation["security"] = [{name: list[str]()} for name in _KEYS]
