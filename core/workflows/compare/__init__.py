"""`umbel compare`: is one model for all tasks better than one for each?"""

from __future__ import annotations
