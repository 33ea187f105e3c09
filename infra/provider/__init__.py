"""A unit as a Pulumi resource, on the same planner, renderer and applier as the command line.

`serving` speaks gRPC and is the only deep import of the SDK; `resources` is the life of a resource; `checking`,
`changes` and `seen` are pure; `rights` holds the leases; `lifetime` ends the process with its engine.
"""
