"""`python -m glyphseek_reranker`: the reranker as one plain process, without Ray."""

from __future__ import annotations

import sys

from glyphseek.serving.process import run_process
from glyphseek_reranker.assembling import SERVICE, assemble

if __name__ == "__main__":
    sys.exit(run_process(SERVICE, assemble, lambda config: config.reranker))
