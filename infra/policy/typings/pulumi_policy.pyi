# What the pack uses of pulumi-policy 1.21, for pyright: the package itself is in the pack's own virtualenv.
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

ReportViolation = Callable[[str], None]

class EnforcementLevel(Enum):
    MANDATORY = "mandatory"

class ResourceValidationArgs:
    resource_type: str
    props: Mapping[str, object]

class StackValidationArgs: ...

class ResourceValidationPolicy:
    def __init__(
        self, *, name: str, description: str, validate: Callable[[ResourceValidationArgs, ReportViolation], None]
    ) -> None: ...

class StackValidationPolicy:
    def __init__(
        self, *, name: str, description: str, validate: Callable[[StackValidationArgs, ReportViolation], None]
    ) -> None: ...

class PolicyPack:
    def __init__(
        self,
        *,
        name: str,
        enforcement_level: EnforcementLevel,
        policies: Sequence[ResourceValidationPolicy | StackValidationPolicy],
    ) -> None: ...
