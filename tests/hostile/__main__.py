"""`python -m tests.hostile`; see `campaign`."""

from __future__ import annotations

import sys

from tests.hostile.campaign import main

sys.exit(main())
