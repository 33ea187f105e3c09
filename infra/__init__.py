"""The declared estate, and the programs that deploy it."""
