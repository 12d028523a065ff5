"""How a training view was cut out of a stored image: one map that its pixels and the labels of every task follow.

Legend: N points or boxes, K channels, H and W height and width in pixels. Points are x, y in continuous pixels: an
image spans 0..W and 0..H, and the centre of its first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from umbel.contract.types import Size, View

if TYPE_CHECKING:
    import numpy as np

SHRINK = 0.5  # smaller than this, an image is averaged before it is warped: bilinear sampling would skip pixels


@dataclass(frozen=True, eq=False)
class Geometry:
    """An affine map from a stored image to a view of it.

    Args:
        matrix: (2, 3) float64, takes points of the stored image to points of the view.
        stored: height and width of the stored image.
        size: height and width of the view.
    """

    matrix: np.ndarray
    stored: Size
    size: Size

    @classmethod
    def of_view(cls, view: View, stored: Size) -> Geometry:
        """The map of a view at test time: resized, mirrored, padded at the bottom and on the right."""
        import numpy as np

        x, y = view.size[1] / stored[1], view.size[0] / stored[0]
        across = [-x, 0.0, float(view.size[1])] if view.hflip else [x, 0.0, 0.0]
        return cls(np.array([across, [0.0, y, 0.0]]), stored, view.canvas or view.size)

    @property
    def mirrored(self) -> bool:
        """Whether left and right trade places."""
        import numpy as np

        return bool(np.linalg.det(self.matrix[:, :2]) < 0)

    @property
    def scale(self) -> float:
        """Side of a small square in the view, over its side in the stored image."""
        import numpy as np

        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    def then(self, after: Geometry) -> Geometry:
        """This map, followed by another one of its view."""
        return Geometry(after.matrix @ self._square(self.matrix), self.stored, after.size)

    def warp_image(self, image: np.ndarray, fill: tuple[int, int, int]) -> np.ndarray:
        """The view of an (H, W, 3) uint8 image, bilinear; what lies outside the image has the colour `fill`."""
        import cv2

        matrix = self.matrix
        if self.scale < SHRINK:
            height, width = (max(1, round(side * self.scale)) for side in self.stored)
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            matrix = matrix.copy()
            matrix[:, :2] = matrix[:, :2] * [self.stored[1] / width, self.stored[0] / height]
        return self._warp(image, matrix, cv2.INTER_LINEAR, fill)

    def warp_map(self, values: np.ndarray, fill: float) -> np.ndarray:
        """The view of an (H, W) map of labels or measurements, none of them mixed; `fill` outside the image."""
        import cv2

        return self._warp(values, self.matrix, cv2.INTER_NEAREST, (fill,))

    def warp_points(self, points_N2: np.ndarray) -> np.ndarray:
        """(N, 2) points in the view, which may lie outside it."""
        import numpy as np

        moved = np.asarray(points_N2, dtype=np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return cast("np.ndarray", moved.astype(np.asarray(points_N2).dtype, copy=False))

    def warp_boxes(self, boxes_N4: np.ndarray) -> np.ndarray:
        """(N, 4) smallest upright boxes x1, y1, x2, y2 around the turned ones; not clipped to the view."""
        import numpy as np

        x1, y1, x2, y2 = np.asarray(boxes_N4, dtype=np.float64).reshape(-1, 4).T
        corners = np.stack([x1, y1, x2, y1, x1, y2, x2, y2], axis=1).reshape(-1, 2)
        moved = (corners @ self.matrix[:, :2].T + self.matrix[:, 2]).reshape(-1, 4, 2)
        hulls = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)
        return hulls.astype(np.asarray(boxes_N4).dtype, copy=False)

    def _warp(self, image: np.ndarray, matrix: np.ndarray, interpolation: int, fill: tuple[float, ...]) -> np.ndarray:
        import cv2
        import numpy as np

        to_centre = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
        indices = self._square(matrix) @ to_centre  # OpenCV's coordinates are pixel indices
        indices[:2, 2] -= 0.5
        size = (self.size[1], self.size[0])
        warped: np.ndarray = cv2.warpAffine(image, indices[:2], size, flags=interpolation, borderValue=fill)
        return warped

    @staticmethod
    def _square(matrix: np.ndarray) -> np.ndarray:
        import numpy as np

        return np.vstack([matrix, [0.0, 0.0, 1.0]])
