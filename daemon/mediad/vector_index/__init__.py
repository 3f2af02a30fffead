"""The vector index: nearest embeddings by cosine, derived from the store and rebuildable from it at any time."""

from mediad.vector_index.index import IndexNotLoaded, VectorIndex
from mediad.vector_index.ranking import Exact
from mediad.vector_index.vectors import vector_id, vector_ids

__all__ = ["Exact", "IndexNotLoaded", "VectorIndex", "vector_id", "vector_ids"]
