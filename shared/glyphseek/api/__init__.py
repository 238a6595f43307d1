"""The wire contract: code generated from protos/, never edited."""
