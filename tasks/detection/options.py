"""What a recipe may say about a detection task."""

from __future__ import annotations

from dataclasses import dataclass

from umbel import check_choice, check_interval, check_range, check_unique, option

CONF_TYPES = ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")


@dataclass
class DetectionOptions:
    """Options of one detection task; defaults follow the paper, and where it is silent docs/paper.md."""

    root: str = option(doc="folder of the data set, that the paths below are relative to")
    format: str = option("auto", "format of the data set: auto, coco, voc, yolo, tt100k or challenge")
    train_images: str | None = option(
        None,
        "folder of the training images; null: coco train, challenge dec/train, voc JPEGImages or without a list train, "
        "yolo as data.yaml says; tt100k: first folder of their paths, train",
    )
    train_annotations: str | None = option(
        None,
        "annotations of the training images; null: coco annotations/train.json, challenge dec/train.json, voc the "
        "folder Annotations or without a list the images', yolo data.yaml, tt100k annotations.json",
    )
    val_images: str | None = option(None, "the same for validation, val in place of train; but tt100k: test")
    val_annotations: str | None = option(None, "the same for validation, val in place of train")
    train_list: str | None = option(
        None, "voc: stems of the training images; null: ImageSets/Main/train.txt if it exists"
    )
    val_list: str | None = option(None, "voc: the same for validation; null: ImageSets/Main/val.txt if it exists")
    difficult: str = option("ignore", "voc: objects marked difficult: ignore (neither right nor wrong), keep or drop")
    other_categories: str = option(
        "drop",
        "tt100k: signs of categories outside class_names, or without it outside the usual 45: drop, ignore or keep",
    )
    class_names: list[str] = option(
        [],
        "classes in the order of the head's outputs; [] takes those of the data, by id or, in voc and tt100k, sorted",
    )
    class_map: dict[str, str | None] = option(
        {},
        "stored class to class; names that become one are merged, null drops boxes, ignore makes them ignored regions",
    )
    category_ids: list[int] = option([], "id of each of class_names in annotations and results; [] takes the data's")
    bad_boxes: str = option("error", "boxes that are not finite, empty, inverted or outside the image: error or drop")

    depth_mult: float = option(1.0, "factor on the 3 bottlenecks of every CSP layer of the neck")
    neck_channels: list[int] | None = option(None, "channels at strides 8, 16, 32; null keeps the backbone's")
    sppf: bool = option(False, "pool the stride 32 level at several sizes before the neck")
    bn_eps: float = option(1e-3, "epsilon of the batch norms in neck and head")
    bn_momentum: float = option(0.03, "momentum of the batch norms in neck and head")
    anchors: list[list[float]] | None = option(
        None, "9 [width, height] in pixels of the network input; null for COCO's"
    )

    box_gain: float = option(0.05, "weight of the box loss")
    obj_gain: float = option(1.0, "weight of the objectness loss")
    cls_gain: float = option(0.5, "weight of the class loss")
    gain_scaling: str = option("none", "none, or ultralytics: gains follow levels, classes and input size")
    det_loss_factor: float = option(8.0, "factor on the loss; 8 balances it with the other tasks")
    label_smoothing: float = option(0.0, "class targets are 1 - s/2 and s/2")
    anchor_t: float = option(4.0, "a box matches an anchor whose sides differ by less than this factor")
    iou_kind: str = option("ciou", "overlap of the box loss: iou, giou, diou or ciou")

    crop_scale: list[float] = option([0.3, 0.6], "range of the crop's side as a fraction of the image's")
    crop_aspect: list[float] = option([1.0, 1.0], "range of the crop's width : height relative to the image's")
    no_crop_prob: float = option(0.0, "share of training images that stay whole")
    hflip: float = option(0.5, "probability of mirroring; note that some traffic signs have a direction")
    keep_ratio: bool = option(False, "fit into the input and pad with 128, in place of a stretch to it")
    brightness: float = option(0.0, "strength of brightness jitter, as a fraction")
    contrast: float = option(0.0, "strength of contrast jitter, as a fraction")
    saturation: float = option(0.0, "strength of saturation jitter, as a fraction")
    hue: float = option(0.0, "strength of hue jitter, as a fraction of the circle, at most 0.5")
    min_box_px: float = option(1.0, "training boxes with a shorter side, in pixels of the network input, are dropped")

    test_size: list[int] | None = option(None, "[height, width] at test time; null is the input size")
    conf: float = option(0.001, "lowest score of a detection")
    nms_iou: float = option(0.65, "boxes of a class that overlap by more are suppressed")
    multi_label: bool = option(True, "a box may be a detection of several classes")
    max_detections: int = option(300, "detections kept per view")
    keep: int = option(100, "detections kept per image and class at the end; COCO evaluates 100")
    merge: str = option("wbf", "how views are merged: wbf (weighted boxes fusion) or nms")
    wbf_iou: float = option(0.55, "boxes that overlap by more are fused")
    wbf_skip: float = option(0.001, "boxes with a lower score are not fused")
    wbf_conf_type: str = option("avg", "score of a fused box: avg, max, box_and_model_avg or absent_model_aware_avg")
    wbf_weights: list[float] = option([], "weight of each view, in their order; [] weighs all alike")
    map_backend: str = option("faster_coco_eval", "what computes mAP: faster_coco_eval, or hotcoco (an extra, faster)")
    wbf_backend: str = option("compiled", "compiled, or ensemble_boxes: the published package, same numbers, slower")

    def __post_init__(self) -> None:
        check_choice("difficult", self.difficult, ("ignore", "keep", "drop"))
        check_choice("other_categories", self.other_categories, ("drop", "ignore", "keep"))
        check_choice("bad_boxes", self.bad_boxes, ("error", "drop"))
        check_choice("gain_scaling", self.gain_scaling, ("none", "ultralytics"))
        check_choice("iou_kind", self.iou_kind, ("iou", "giou", "diou", "ciou"))
        check_choice("merge", self.merge, ("wbf", "nms"))
        check_choice("wbf_conf_type", self.wbf_conf_type, CONF_TYPES)
        check_choice("map_backend", self.map_backend, ("faster_coco_eval", "hotcoco"))
        check_choice("wbf_backend", self.wbf_backend, ("compiled", "ensemble_boxes"))
        for name in (
            "no_crop_prob",
            "hflip",
            "label_smoothing",
            "conf",
            "nms_iou",
            "wbf_iou",
            "wbf_skip",
        ):
            check_range(name, getattr(self, name), 0.0, 1.0)
        for name in ("brightness", "contrast", "saturation"):
            check_range(name, getattr(self, name), 0.0, 1.0)
        for name in ("box_gain", "obj_gain", "cls_gain", "det_loss_factor"):
            check_range(name, getattr(self, name), 0.0, 1e6)
        check_range("hue", self.hue, 0.0, 0.5)
        check_range("bn_momentum", self.bn_momentum, 1e-6, 1.0)  # 0 would never learn the statistics
        check_range("bn_eps", self.bn_eps, 1e-12, 1.0)
        check_range("depth_mult", self.depth_mult, 0.01, 10.0)
        check_range("anchor_t", self.anchor_t, 1.001, 1e6)  # at 1 no box matches
        check_range("min_box_px", self.min_box_px, 0.0, 1e4)
        check_range("max_detections", self.max_detections, 1, 30000)
        check_range("keep", self.keep, 1, 30000)
        check_interval("crop_scale", self.crop_scale, 0.01, 1.0)
        check_interval("crop_aspect", self.crop_aspect, 0.01, 100.0)
        check_unique("class_names", self.class_names)
        self._check_shapes()

    def images(self, split: str) -> str | None:
        """The image folder that the recipe gives for a split."""
        return {"train": self.train_images, "val": self.val_images}.get(split)

    def annotations(self, split: str) -> str | None:
        """The annotation file or folder that the recipe gives for a split."""
        return {"train": self.train_annotations, "val": self.val_annotations}.get(split)

    def _check_shapes(self) -> None:
        if "ignore" in self.class_names and "ignore" in self.class_map.values():
            raise ValueError("class_names holds 'ignore', which class_map turns into regions of no class; rename it")
        if self.category_ids and not (len(set(self.category_ids)) == len(self.category_ids) == len(self.class_names)):
            raise ValueError(
                f"category_ids is {self.category_ids}; give one for each of class_names {self.class_names}"
            )
        if self.neck_channels is not None and not (
            len(self.neck_channels) == 3 and all(2 <= count <= 8192 for count in self.neck_channels)
        ):
            raise ValueError(f"neck_channels is {self.neck_channels}; expected 3 numbers of channels in 2..8192")
        pairs = self.anchors or []
        if self.anchors is not None and not (
            len(pairs) == 9 and all(len(pair) == 2 and all(0 < side <= 65536 for side in pair) for pair in pairs)
        ):
            raise ValueError(f"anchors is {self.anchors}; expected 9 pairs [width, height] in pixels, above 0")
        if self.test_size is not None and not (
            len(self.test_size) == 2 and all(1 <= side <= 65536 for side in self.test_size)
        ):
            raise ValueError(f"test_size is {self.test_size}; expected [height, width] in pixels")
        if not all(0 < weight <= 1e6 for weight in self.wbf_weights):
            raise ValueError(f"wbf_weights is {self.wbf_weights}; every weight must be above 0 and at most 1e6")
