"""The gateway: the only public door, over HTTP and gRPC. It owns the plan of a search, and the collections."""
