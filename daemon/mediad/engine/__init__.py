"""The whole: the running daemon (`Engine`), and what is known whether it runs or not (`Library`)."""

from mediad.engine.engine import Engine
from mediad.engine.errors import EngineError
from mediad.engine.library import Library

__all__ = ["Engine", "EngineError", "Library"]
