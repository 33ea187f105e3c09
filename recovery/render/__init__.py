"""Estate and templates → bundles. Pure after `Templates.load`: same input, same bytes, everywhere.

What a template may use, by name:

| Name | Is | Where |
|---|---|---|
| `estate` | the `Estate` | everywhere; a template that uses nothing else is rendered once for all units |
| `service` | the `Service` | everywhere |
| `endpoint` | the `Endpoint` that serves the unit, or the one whose host is rendered | everywhere |
| `data_centre` | the `DataCentre` that the endpoint stands in | everywhere |
| `identity`, `time` | the `Endpoint`s of the services of these names: those the unit's region is placed at; for an \
endpoint's host those of its own data centre | everywhere, where the estate declares them |
| `bastion` | the `Bastion` in front of the host, or None | everywhere |
| `login`, `root` | the `Login` of the host, and the absolute folder that pulih owns on it | everywhere |
| `region`, `office`, `unit` | the `Region`, `Office` and `Unit` | kinds other than `endpoint-host` |
| `nonce` | what the applier passes to `unit/probe`, put in by the shell when the script runs | `probe` in `unit.yaml` |

An endpoint's host takes nothing from the placement, so its bundle is the same before and after a failover.
What a value may look like, and the filters, are in `syntax`; `unit.yaml` is in `kind`.
"""

from recovery.render.renderer import Renderer
from recovery.render.templates import Templates

__all__ = ["Renderer", "Templates"]
