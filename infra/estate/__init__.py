"""The declared facts of the shipped estate, and in `source/` what they are made from."""
