"""Stage `tokens`: the tokens of the dense CLIP learn which word stands where they are."""
