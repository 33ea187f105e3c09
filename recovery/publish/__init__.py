"""The manifest that citizens' apps read: a TUF repository made from the declaration, on mirrors that anybody may read.

The format is that of The Update Framework 1.0 with consistent snapshots, by python-tuf's `tuf.api.metadata`. Root and
targets are signed offline by two of three keys, snapshot and timestamp by one online key each.
"""
