"""The faces of mediad: command line, HTTP API, gallery, service units. They know the engine; it does not know them."""
