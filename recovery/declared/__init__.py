"""The estate's files → the model, with every mistake at once; and back, from the model to files.

`nodes` reads YAML; `schema` and `fields` say what a file looks like; `names`, `references` and `sanity` look
across files.
"""

from recovery.declared.load import load
from recovery.declared.placement import with_placement, write_placement
from recovery.declared.schema import estate_schema
from recovery.declared.write import write

__all__ = ["estate_schema", "load", "with_placement", "write", "write_placement"]
