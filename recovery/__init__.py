"""pulih: the recovery of a whole estate as a repeatable deployment."""
