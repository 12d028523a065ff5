"""umbel: one shared backbone, many vision tasks.

Everything a plugin needs is here; the names are imported on first use, so that `import umbel` costs nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations asks a server at import otherwise

__version__ = "0.1.0"

_HOME = {
    "Backbone": "umbel.backbone",
    "Balancer": "umbel.balancing.balancer",
    "BarFigure": "umbel.report.figures",
    "BestAndWorst": "umbel.report.reporter",
    "CurveFigure": "umbel.report.figures",
    "ExampleFigure": "umbel.report.figures",
    "Figure": "umbel.report.figures",
    "Line": "umbel.report.figures",
    "MatrixFigure": "umbel.report.figures",
    "Reporter": "umbel.report.reporter",
    "TableFigure": "umbel.report.figures",
    "Batch": "umbel.types",
    "ClassMap": "umbel.data.class_map",
    "BusyError": "umbel.errors",
    "CheckpointError": "umbel.errors",
    "ColourJitter": "umbel.data.colour",
    "ConfigError": "umbel.errors",
    "DataError": "umbel.errors",
    "FeatureSpec": "umbel.types",
    "Finding": "umbel.inspection.finding",
    "Guess": "umbel.starting",
    "HOLDOUT": "umbel.starting",
    "IMAGE_SUFFIXES": "umbel.data.listing",
    "Losses": "umbel.types",
    "Part": "umbel.data.holdout",
    "PluginError": "umbel.errors",
    "Recipe": "umbel.config",
    "Result": "umbel.result",
    "Run": "umbel.run",
    "Sample": "umbel.types",
    "SampleReport": "umbel.inspection.finding",
    "Size": "umbel.types",
    "Source": "umbel.types",
    "Statistic": "umbel.data.statistics",
    "Task": "umbel.task",
    "TaskConfig": "umbel.config",
    "TtaConfig": "umbel.config",
    "TtaVariant": "umbel.config",
    "UmbelError": "umbel.errors",
    "Trained": "umbel.api",
    "View": "umbel.types",
    "apply_keyed": "umbel.randomness",
    "check_choice": "umbel.options",
    "check_interval": "umbel.options",
    "check_range": "umbel.options",
    "check_unique": "umbel.options",
    "class_balance": "umbel.data.statistics",
    "encode_image": "umbel.data.images",
    "find_split": "umbel.data.splits",
    "find_val_or_test": "umbel.data.splits",
    "hold": "umbel.lock",
    "hookimpl": "umbel.hooks",
    "image_sizes": "umbel.data.statistics",
    "is_hidden": "umbel.data.listing",
    "keyed_generator": "umbel.randomness",
    "list_images": "umbel.data.listing",
    "find_alike": "umbel.data.names",
    "find_confusable": "umbel.data.names",
    "literal": "umbel.literals",
    "load": "umbel.api",
    "load_datasets": "umbel.data.loader",
    "load_tensors": "umbel.checkpoint.tensors",
    "missing_hint": "umbel.data.names",
    "map_classes": "umbel.data.class_map",
    "open_tasks": "umbel.api",
    "option": "umbel.options",
    "overall_score": "umbel.score",
    "palette": "umbel.drawing",
    "pick_format": "umbel.data.formats",
    "predict_dataset": "umbel.evaluation",
    "put_label": "umbel.drawing",
    "read_class_names": "umbel.data.files",
    "read_image": "umbel.data.images",
    "read_json": "umbel.data.files",
    "read_label_map": "umbel.data.images",
    "read_lines": "umbel.data.files",
    "read_scores": "umbel.evaluation",
    "read_text": "umbel.data.files",
    "recognise_format": "umbel.data.formats",
    "resize_image": "umbel.data.images",
    "resolve_under": "umbel.data.files",
    "round_up": "umbel.types",
    "say": "umbel.cli.say",
    "say_test_validates": "umbel.data.splits",
    "spread": "umbel.data.statistics",
    "tolerate": "umbel.data.faults",
    "train": "umbel.api",
    "write_bytes": "umbel.data.files",
    "write_image": "umbel.data.images",
    "write_json": "umbel.data.files",
    "writing": "umbel.written",
}

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from umbel.api import Trained as Trained
    from umbel.api import load as load
    from umbel.api import open_tasks as open_tasks
    from umbel.api import train as train
    from umbel.backbone import Backbone as Backbone
    from umbel.balancing.balancer import Balancer as Balancer
    from umbel.checkpoint.tensors import load_tensors as load_tensors
    from umbel.cli.say import say as say
    from umbel.config import Recipe as Recipe
    from umbel.config import TaskConfig as TaskConfig
    from umbel.config import TtaConfig as TtaConfig
    from umbel.config import TtaVariant as TtaVariant
    from umbel.data.class_map import ClassMap as ClassMap
    from umbel.data.class_map import map_classes as map_classes
    from umbel.data.colour import ColourJitter as ColourJitter
    from umbel.data.faults import tolerate as tolerate
    from umbel.data.files import read_class_names as read_class_names
    from umbel.data.files import read_json as read_json
    from umbel.data.files import read_lines as read_lines
    from umbel.data.files import read_text as read_text
    from umbel.data.files import resolve_under as resolve_under
    from umbel.data.files import write_bytes as write_bytes
    from umbel.data.files import write_json as write_json
    from umbel.data.formats import pick_format as pick_format
    from umbel.data.formats import recognise_format as recognise_format
    from umbel.data.holdout import Part as Part
    from umbel.data.images import encode_image as encode_image
    from umbel.data.images import read_image as read_image
    from umbel.data.images import read_label_map as read_label_map
    from umbel.data.images import resize_image as resize_image
    from umbel.data.images import write_image as write_image
    from umbel.data.listing import IMAGE_SUFFIXES as IMAGE_SUFFIXES
    from umbel.data.listing import is_hidden as is_hidden
    from umbel.data.listing import list_images as list_images
    from umbel.data.loader import load_datasets as load_datasets
    from umbel.data.names import find_alike as find_alike
    from umbel.data.names import find_confusable as find_confusable
    from umbel.data.names import missing_hint as missing_hint
    from umbel.data.splits import find_split as find_split
    from umbel.data.splits import find_val_or_test as find_val_or_test
    from umbel.data.splits import say_test_validates as say_test_validates
    from umbel.data.statistics import Statistic as Statistic
    from umbel.data.statistics import class_balance as class_balance
    from umbel.data.statistics import image_sizes as image_sizes
    from umbel.data.statistics import spread as spread
    from umbel.drawing import palette as palette
    from umbel.drawing import put_label as put_label
    from umbel.errors import BusyError as BusyError
    from umbel.errors import CheckpointError as CheckpointError
    from umbel.errors import ConfigError as ConfigError
    from umbel.errors import DataError as DataError
    from umbel.errors import PluginError as PluginError
    from umbel.errors import UmbelError as UmbelError
    from umbel.evaluation import predict_dataset as predict_dataset
    from umbel.evaluation import read_scores as read_scores
    from umbel.hooks import hookimpl as hookimpl
    from umbel.inspection.finding import Finding as Finding
    from umbel.inspection.finding import SampleReport as SampleReport
    from umbel.literals import literal as literal
    from umbel.lock import hold as hold
    from umbel.options import check_choice as check_choice
    from umbel.options import check_interval as check_interval
    from umbel.options import check_range as check_range
    from umbel.options import check_unique as check_unique
    from umbel.options import option as option
    from umbel.randomness import apply_keyed as apply_keyed
    from umbel.randomness import keyed_generator as keyed_generator
    from umbel.report.figures import BarFigure as BarFigure
    from umbel.report.figures import CurveFigure as CurveFigure
    from umbel.report.figures import ExampleFigure as ExampleFigure
    from umbel.report.figures import Figure as Figure
    from umbel.report.figures import Line as Line
    from umbel.report.figures import MatrixFigure as MatrixFigure
    from umbel.report.figures import TableFigure as TableFigure
    from umbel.report.reporter import BestAndWorst as BestAndWorst
    from umbel.report.reporter import Reporter as Reporter
    from umbel.result import Result as Result
    from umbel.run import Run as Run
    from umbel.score import overall_score as overall_score
    from umbel.starting import HOLDOUT as HOLDOUT
    from umbel.starting import Guess as Guess
    from umbel.task import Task as Task
    from umbel.types import Batch as Batch
    from umbel.types import FeatureSpec as FeatureSpec
    from umbel.types import Losses as Losses
    from umbel.types import Sample as Sample
    from umbel.types import Size as Size
    from umbel.types import Source as Source
    from umbel.types import View as View
    from umbel.types import round_up as round_up
    from umbel.written import writing as writing


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'umbel' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
