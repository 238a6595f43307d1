"""A service over models that follow by hand: `python -m integration.traced_process encoder|matcher --config FILE`."""

from __future__ import annotations

import sys
from dataclasses import replace

from fakes.gateways import PhotoWords

from glyphseek.config import Config
from glyphseek.deployment import open_features
from glyphseek.features.late import LateFeatures
from glyphseek.indexing import EncodingSettings
from glyphseek.metrics import Metrics
from glyphseek.serving.process import run_process
from glyphseek.serving.service import Service, close_all
from glyphseek.tokens import CodecName
from glyphseek_encoder import assembling as encoder
from glyphseek_encoder.servicer import EncoderServicer
from glyphseek_matcher import assembling as matcher
from glyphseek_matcher.servicer import MatcherServicer


def assemble_encoder(config: Config, metrics: Metrics) -> Service[EncoderServicer]:
    features = LateFeatures(lambda: open_features(config))
    service = encoder.build_service(
        [PhotoWords()], features, metrics, settings=EncodingSettings(codec=CodecName.FP16, threads=2)
    )
    return replace(service, close=lambda: close_all([features.close, service.close]))


def assemble_matcher(config: Config, metrics: Metrics) -> Service[MatcherServicer]:
    features = LateFeatures(lambda: open_features(config))
    service = matcher.build_service([PhotoWords().card], features, metrics, cache_bytes=config.cache_bytes)
    return replace(service, close=lambda: close_all([features.close, service.close]))


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    if name == "encoder":
        sys.exit(run_process(name, assemble_encoder, lambda config: config.encoder, arguments))
    sys.exit(run_process(name, assemble_matcher, lambda config: config.matcher, arguments))
