"""CAYN (Qin et al., CVPR 2025): a global vector to recall by, token maps to rerank by parameter-free cross attention.

Legend of this folder: B images of a batch, (H, W) token grid, N = H * W tokens of an image, C their width before the
attention pool, E the joint width of images and texts, Q texts, T tokens of a text, P pairs of a text and an image.
"""
