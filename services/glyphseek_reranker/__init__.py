"""The reranker service: terms against the token maps of images, which it fetches itself."""
