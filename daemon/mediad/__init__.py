"""mediad: watches volumes of images and videos and keeps one live catalog of them (the engine)."""

__version__ = "0.1.0"
