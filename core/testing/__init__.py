"""The contract of tasks and backbones as pytest classes, for plugins to subclass in their tests. pytest runs them.

Only tests import this package; umbel itself does not.
"""

from __future__ import annotations

from umbel.testing.backbone_contract import BackboneContract
from umbel.testing.fault import ContractFault
from umbel.testing.task_contract import TaskContract

__all__ = ["BackboneContract", "ContractFault", "TaskContract"]
