"""The encoder service: query terms to vectors, and images to features, which it stores itself."""
