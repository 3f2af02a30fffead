"""What the engine says when it cannot do what a person asked."""


class EngineError(Exception):
    """Something that a person asked for cannot be done; the message says what to do."""
