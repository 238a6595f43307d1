"""Where feature blobs are kept: one file per kind of store, all held to one contract."""
