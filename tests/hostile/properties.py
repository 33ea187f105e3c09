"""All properties, for the campaign."""

from __future__ import annotations

from tests.hostile import answers, readers, shells, stored

PROPERTIES = (*readers.PROPERTIES, *stored.PROPERTIES, *answers.PROPERTIES, *shells.PROPERTIES)
