"""Encoders: pixels and text to unit vectors, in a process of their own. This face of it is light."""

from mediad.encoder_spec import AUTO, EncoderSpec, parse
from mediad.encoders.client import Encoder, EncoderError, TextUnsupported
from mediad.encoders.pull_process import Pull
from mediad.encoders.weights import Resolved, WeightsUnavailable, installed, resolve, weights_present

__all__ = [
    "AUTO",
    "Encoder",
    "EncoderError",
    "EncoderSpec",
    "Pull",
    "Resolved",
    "TextUnsupported",
    "WeightsUnavailable",
    "installed",
    "parse",
    "resolve",
    "weights_present",
]
