"""Two revisions of an estate → what a change does, for those who approve it. Pure."""
