"""What a broken contract raises: one sentence that names the fault."""

from __future__ import annotations


class ContractFault(AssertionError):
    """A task or backbone does not keep what its base class promises."""


def expect(holds: bool, fault: str) -> None:
    """Raise ContractFault with this sentence unless the condition holds."""
    __tracebackhide__ = True
    if not holds:
        raise ContractFault(fault)
