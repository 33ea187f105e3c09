"""`python -m infra.engine`: gets the engine; the last line of stdout is its folder, the steps are on stderr."""

from __future__ import annotations

import os
import sys

from infra.engine.bootstrap import get
from infra.engine.errors import EngineError


def main() -> int:
    """Print the folder of the engine.

    Returns:
        0, or 1 when no way leads to one.
    """
    try:
        print(get(os.environ, lambda line: print(f"engine: {line}", file=sys.stderr, flush=True)))
    except (EngineError, OSError) as error:
        print(f"engine: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
