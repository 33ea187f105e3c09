"""The provider's process: `python -m infra.provider ENGINE`. It prints its port, and nothing else ever."""

from __future__ import annotations

import asyncio
import gc
import os
import sys


def main() -> None:
    """Serve the engine whose address is the last argument that is no option."""
    engine = [word for word in sys.argv[1:] if not word.startswith("-")]
    if not engine:
        sys.exit("pulumi-resource-pulih is started by Pulumi, with the address of its engine")
    gc.disable()  # nothing of what is imported is garbage, and looking for it takes a tenth of the start
    from infra.declaration import ROOT
    from infra.provider.serving import serve

    gc.freeze()
    gc.enable()
    # The engine starts us in the program's folder, where a relative PULIH_STATE would be another than pulih's: each
    # would take leases that the other does not see.
    os.chdir(ROOT)
    asyncio.run(serve(engine[-1]))


if __name__ == "__main__":
    main()
