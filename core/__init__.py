"""umbel: one shared backbone, many vision tasks.

Everything a plugin needs is here, as `__init__.pyi` lists it; the names are imported on first use, so that
`import umbel` costs nothing.
"""

from __future__ import annotations

import os

import lazy_loader

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations asks a server at import otherwise

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
