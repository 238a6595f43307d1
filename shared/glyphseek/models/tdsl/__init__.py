"""TDSL: a one-stage text detector and a sequence embedding per word, compared with the embedding of a typed word.

Wang et al., "Scene Text Retrieval via Joint Text Detection and Similarity Learning", CVPR 2021.
"""
