"""How the Pulumi engine is obtained, at one pinned version; uses Python's standard library and nothing of pulih."""
