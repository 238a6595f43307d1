"""The bulk indexer: a bucket or folder of photos into a collection, on Ray Data."""
