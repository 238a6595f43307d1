"""The matcher service: queries against the words found in images, whose features it fetches itself."""
