"""Stage `tokens`: the tokens of the small CLIP learn which word stands where they are."""
