"""Makes the shipped estate's files from lists of public office names; nothing else in pulih needs it."""
