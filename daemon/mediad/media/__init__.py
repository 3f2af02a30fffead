"""Bytes of a file become pixels, metadata, hashes and previews here, inside disposable children."""
