"""CAYN: one global vector for recall, local tokens for the rerank by parameter-free cross-attention."""
