"""The Python client of a gateway, over HTTP: `Client` waits for its answers, `AsyncClient` awaits them.

    with Client("http://127.0.0.1:8000", collection="shop", key="...") as client:
        client.add_files(Path("photos").glob("*.jpg"))
        for hit in client.search('coffee AND "open late"').hits:
            print(hit.score, hit.image_id, hit.names)

Both raise the errors of `glyphseek.errors` that the server raised, with its texts.
"""

from glyphseek.client.aio import AsyncClient
from glyphseek.client.results import AddedImage, Collection, Generation, HitView, ImagePage, NewImage, SearchPage
from glyphseek.client.settings import ClientSettings
from glyphseek.client.sync import Client

__all__ = [
    "AddedImage",
    "AsyncClient",
    "Client",
    "ClientSettings",
    "Collection",
    "Generation",
    "HitView",
    "ImagePage",
    "NewImage",
    "SearchPage",
]
