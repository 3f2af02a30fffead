"""Store records in, groups out: sequences, clusters and names.

Modules that the daemon may import: `settings`, `space`, `client`, `build`, `assign`, `stability`, `naming`, `words`,
`sequences`, `framenames`, `cameras`. Those of the clustering process, which need scikit-learn, UMAP and HDBSCAN:
`child`, `clusters`, `partition`, `reduce`, `by_name`.
"""
