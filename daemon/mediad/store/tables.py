"""The named databases of the store and the keys in them. Integers in keys are big-endian, so that they sort.

| database    | key                                     | value |
| ----------- | --------------------------------------- | ----- |
| meta        | name                                    | JSON, or a counter (8 bytes) |
| volumes     | volume (4)                              | JSON of model.Volume |
| directories | volume (4) directory (8)                | path below the volume's root |
| children    | volume (4) parent directory (8) name    | directory (8) |
| files       | volume (4) directory (8) name           | packed stat, ids and times (`files.py`) |
| file_ids    | file id (8)                             | key in `files` |
| aliases     | content id (16) key in `files`          | nothing |
| assets      | content id (16)                         | JSON of model.Asset |
| orphans     | content id (16)                         | since when no file has this content (8, float) |
| spaces      | space (4)                               | JSON of model.EncoderInfo |
| vectors     | space (4) content id (16) frame (2)     | float16 vector; frame 0 is the asset's own |
| fresh       | content id (16)                         | nothing: embedded, and not yet offered to the clusters |
| work        | key in `files`                          | JSON: what is known of files that must be read |
| attempts    | content id (16) decoder version         | JSON: how often decoding was tried, and why it failed |
| journal     | seq (8)                                 | JSON of model.Change |
| clusters    | cluster id                              | JSON of model.Cluster less its members and centroid |
| members     | cluster id                              | content ids, 16 bytes each |
| centroids   | cluster id                              | float32 vector |
| names       | cluster id                              | what a person called it |
| sequences   | volume (4) directory (8)                | JSON list of model.Sequence |
| fragments   | key in `files`                          | the file's JSON in the catalog (derived) |
| dirty       | key in `files`                          | nothing: its fragment must be made again |
| failing     | key in `files`                          | nothing: its entry in `work` has failed so far |
| suspects    | key in `files`                          | file id (8), since (8, float): vanished, not believed yet |
"""

from __future__ import annotations

VERSION = 1
"""Of all this; `migrations` leads from one to the next."""

NAMES = (
    "meta",
    "volumes",
    "directories",
    "children",
    "files",
    "file_ids",
    "aliases",
    "assets",
    "orphans",
    "spaces",
    "vectors",
    "fresh",
    "work",
    "attempts",
    "journal",
    "clusters",
    "members",
    "centroids",
    "names",
    "sequences",
    "fragments",
    "dirty",
    "suspects",
    "failing",
)
