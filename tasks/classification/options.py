"""Options of the classification task."""

from __future__ import annotations

from dataclasses import dataclass

from umbel import check_choice, check_interval, check_range, check_unique, option


@dataclass
class ClassificationOptions:
    """Data, head, loss and augmentation. The augmentation defaults are the paper's (docs/paper.md)."""

    root: str = option(doc="folder of the data set")
    format: str = option("auto", "layout of the data set: auto, folders, list, csv, one_hot or stanford_cars")
    train: str = option(
        "train", "folders: training images in one folder a class, under root; list, csv: name of the list"
    )
    val: str = option("val", "the same for validation")
    image_column: str = option("image", "csv: column of file names, relative to root")
    label_column: str = option("label", "csv: column of class names")
    images: str = option("", "csv: folder of the images, under root; they may be named without suffix")
    split_column: str | None = option(
        None, "csv: column that says which split a row is of, where `train` and `val` name one table"
    )
    train_splits: list[str] = option(["train"], "csv: what split_column says of training images")
    val_splits: list[str] = option(["val"], "csv: the same for validation")
    class_names: list[str] = option(
        [], "class names by id; list: the meaning of its ids, in place of classes.txt; else an order of known names"
    )
    class_map: dict[str, str | None] = option(
        {}, "stored class to class; names that become one are merged, null leaves the images out"
    )

    mid_channels: int | None = option(None, "channels of the head's convolution; null keeps those of the features")
    reduction: int = option(16, "CBAM: factor by which the channel attention narrows")
    dropout: float = option(0.0, "probability that a feature is dropped before the linear layer")
    label_smoothing: float = option(0.0, "probability taken from the true class and spread over the others")
    smoothing_rule: str = option("torch", "torch spreads over all K classes, organisers over the K-1 wrong ones")

    crop_scale: list[float] = option(
        [1.0, 1.0], "training: share of the image area kept by a random crop; [1, 1] crops not"
    )
    crop_ratio: list[float] = option([3 / 4, 4 / 3], "training: width / height of the random crop")
    hflip: float = option(0.5, "training: probability of a left-right flip")
    jitter_prob: float = option(0.5, "training: probability of the colour jitter")
    saturation: float = option(0.4, "training: saturation factor in 1 +- this")
    brightness: float = option(0.0, "training: brightness factor in 1 +- this")
    contrast: float = option(0.0, "training: contrast factor in 1 +- this")
    erase_prob: float = option(0.5, "training: probability that a rectangle is replaced by noise")
    erase_area: list[float] = option([0.02, 1 / 3], "training: share of the image that the rectangle covers")
    erase_ratio: list[float] = option([0.3, 3.3], "training: height / width of the rectangle, uniform in its logarithm")

    test_size: list[int] | None = option(None, "height and width of the unscaled test view; null is input_size")
    pad_multiple: int = option(32, "test views are enlarged to a multiple of this: the backbone's largest stride")
    tta_average: str = option("probabilities", "what several views average: probabilities or logits")

    def __post_init__(self) -> None:
        check_unique("class_names", self.class_names)
        if self.mid_channels is not None:
            check_range("mid_channels", self.mid_channels, 1, 65536)
        check_range("reduction", self.reduction, 1, 65536)
        check_range("dropout", self.dropout, 0.0, 0.99)
        check_range("label_smoothing", self.label_smoothing, 0.0, 1.0)
        check_choice("smoothing_rule", self.smoothing_rule, ("torch", "organisers"))
        check_interval("crop_scale", self.crop_scale, 0.01, 1.0)
        check_interval("crop_ratio", self.crop_ratio, 0.01, 100.0)
        for name in ("hflip", "jitter_prob", "erase_prob", "saturation", "brightness", "contrast"):
            check_range(name, getattr(self, name), 0.0, 1.0)
        check_interval("erase_area", self.erase_area, 1e-6, 1.0)
        check_interval("erase_ratio", self.erase_ratio, 0.01, 100.0)
        if self.test_size is not None and not (
            len(self.test_size) == 2 and all(1 <= side <= 65536 for side in self.test_size)
        ):
            raise ValueError(f"test_size is {self.test_size}; expected [height, width] in pixels, or null")
        check_range("pad_multiple", self.pad_multiple, 1, 1024)
        check_choice("tta_average", self.tta_average, ("probabilities", "logits"))
