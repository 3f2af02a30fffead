"""From a path on a volume to a record in the store: scan, read, preview, embed, record."""
