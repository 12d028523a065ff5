"""Options of the segmentation task."""

from __future__ import annotations

from dataclasses import dataclass

from umbel import check_choice, check_interval, check_range, check_unique, option


@dataclass
class SegmentationOptions:
    """Data, head, loss and augmentation. The augmentation defaults are the paper's (docs/paper.md)."""

    root: str = option(doc="folder of the data set")
    format: str = option(
        "auto",
        "layout of the data set: auto, folders, bdd100k, challenge, cityscapes, camvid, polygons or masks_beside",
    )
    images: str = option("images", "folders, polygons: images, under root")
    masks: str = option("masks", "folders: one-channel masks of class ids, under root, with the stems of the images")
    train_list: str | None = option(
        "train.txt",
        "folders: training stems, one a line, or null for all images, with `holdout`; camvid: two columns of files",
    )
    more_train_lists: list[str] = option([], "folders: further lists of training stems")
    val_list: str = option("val.txt", "folders, camvid: the same for validation")
    train_polygons: str = option("polygons_train.json", "polygons: annotations of training images, under root")
    val_polygons: str = option("polygons_val.json", "polygons: annotations of validation images, under root")
    background: str | None = option(None, "polygons: class of the pixels in no polygon; null leaves them unlabelled")
    paint_order: str = option("file", "polygons: which is painted over: file (the earlier), area (the larger) or class")
    line_width: int = option(1, "polygons: width of open lines, such as lane markings, in pixels of the stored image")
    class_names: list[str] = option(
        [],
        "class names by id; folders: the meaning of the masks, in place of classes.txt; else an order of known names",
    )
    class_map: dict[str, str | None] = option(
        {}, "stored class to class; names that become one are merged, null makes the pixels unlabelled"
    )
    label_values: dict[int, str | None] = option(
        {},
        "folders: class of every value in the masks, null for unlabelled, such as {0: ground, 255: road}; empty takes "
        "ids from 0 on and ignore_index or, where masks of two classes hold 0 and 255 only, 255 for the second class",
    )
    ignore_index: int = option(
        255, "label of unlabelled pixels: neither trained on nor evaluated; folders: and their value in the masks"
    )

    width: int = option(512, "channels of the UPerNet decoder")
    dropout: float = option(0.1, "probability that a channel is dropped before each classifier")
    norm: str = option(
        "batch",
        "batch or group; batch normalises a 1x1 map of a single image by the running statistics",
    )
    aux_weight: float = option(0.4, "factor on the loss of the auxiliary head; 0 builds none")
    aux_width: int = option(256, "channels of the auxiliary head")
    aux_stride: int = option(16, "stride of the feature level that the auxiliary head reads")
    class_weights: list[float] = option([], "factor on the loss of each class; empty weighs all alike")

    scale: list[float] = option([0.5, 2.0], "training: range of the random scale")
    scale_step: float = option(0.25, "training: grid of the random scale; 0 draws it continuously")
    rotation: float = option(15.0, "training: largest rotation in degrees, either way")
    hflip: float = option(0.5, "training: probability of a left-right flip")
    brightness: float = option(0.4, "training: brightness factor in 1 +- this")
    contrast: float = option(0.4, "training: contrast factor in 1 +- this")
    saturation: float = option(0.4, "training: saturation factor in 1 +- this")
    hue: float = option(18.0, "training: largest hue shift, of 180 for the whole circle")
    jitter_prob: float = option(0.5, "training: probability of each of brightness, contrast, saturation and hue")
    blur_prob: float = option(0.3, "training: probability of a Gaussian blur")
    blur_kernel: list[int] = option([3, 9], "training: smallest and largest blur kernel, odd, in pixels")

    test_size: list[int] | None = option(None, "height and width of the unscaled test view; null is the image's own")
    pad_multiple: int = option(32, "test views are padded to a multiple of this: the backbone's largest stride")

    def __post_init__(self) -> None:
        check_unique("class_names", self.class_names)
        check_choice("paint_order", self.paint_order, ("file", "area", "class"))
        for value in self.label_values:
            check_range("label_values", value, 0, 255)
        check_unique("label_values", [name for name in self.label_values.values() if name is not None])
        check_range("line_width", self.line_width, 1, 200)
        check_range("ignore_index", self.ignore_index, 0, 255)
        check_range("width", self.width, 2, 8192)
        check_range("aux_width", self.aux_width, 2, 8192)
        check_range("dropout", self.dropout, 0.0, 0.99)
        check_choice("norm", self.norm, ("batch", "group"))
        check_range("aux_weight", self.aux_weight, 0.0, 1e6)
        for weight in self.class_weights:
            check_range("class_weights", weight, 0.0, 1e6)
        if self.class_weights and not any(self.class_weights):
            raise ValueError("class_weights are all 0: nothing would be learnt")
        check_range("aux_stride", self.aux_stride, 1, 1024)
        check_interval("scale", self.scale, 0.01, 100.0)
        check_range("scale_step", self.scale_step, 0.0, 100.0)
        check_range("rotation", self.rotation, 0.0, 180.0)
        for name in ("hflip", "jitter_prob", "blur_prob", "brightness", "contrast", "saturation"):
            check_range(name, getattr(self, name), 0.0, 1.0)
        check_range("hue", self.hue, 0.0, 90.0)
        check_interval("blur_kernel", self.blur_kernel, 1, 99)
        if any(side % 2 == 0 for side in self.blur_kernel):
            raise ValueError(f"blur_kernel is {self.blur_kernel}; both ends must be odd")
        if self.test_size is not None and not (
            len(self.test_size) == 2 and all(1 <= side <= 65536 for side in self.test_size)
        ):
            raise ValueError(f"test_size is {self.test_size}; expected [height, width] in pixels, or null")
        check_range("pad_multiple", self.pad_multiple, 1, 1024)
