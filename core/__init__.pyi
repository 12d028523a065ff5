"""Everything a plugin needs: the one list of public names, which `__init__.py` imports on first use."""

from .checkpoint.safetensors import load_tensors as load_tensors
from .config.literals import literal as literal
from .config.schema import Recipe as Recipe
from .contract.backbone import Backbone as Backbone
from .contract.balancer import (
    Balancer as Balancer,
    Observes as Observes,
)
from .contract.capabilities import (
    Compares as Compares,
    DescribesData as DescribesData,
    DescribesExport as DescribesExport,
    Draws as Draws,
    Exports as Exports,
    Inspects as Inspects,
    InfersOptions as InfersOptions,
    MakesCoco as MakesCoco,
    MakesJson as MakesJson,
    MakesMasks as MakesMasks,
    NamesClasses as NamesClasses,
    NamesSources as NamesSources,
    Filters as Filters,
    Detects as Detects,
    Reports as Reports,
    ShowsClasses as ShowsClasses,
    Stratifies as Stratifies,
    SuggestsTta as SuggestsTta,
    Warps as Warps,
)
from .contract.dataset_report import (
    Finding as Finding,
    DetectedDataset as DetectedDataset,
    HOLDOUT as HOLDOUT,
    SampleReport as SampleReport,
    Statistic as Statistic,
)
from .contract.defaults import (
    drawn as drawn,
    json_of as json_of,
    inferred_options_of as inferred_options_of,
)
from .contract.device_constant import DeviceConstant as DeviceConstant
from .contract.errors import (
    BusyError as BusyError,
    CheckpointError as CheckpointError,
    ConfigError as ConfigError,
    DataError as DataError,
    PluginError as PluginError,
    UmbelError as UmbelError,
)
from .contract.figures import (
    BarFigure as BarFigure,
    CurveFigure as CurveFigure,
    ExampleFigure as ExampleFigure,
    Figure as Figure,
    Line as Line,
    MatrixFigure as MatrixFigure,
    TableFigure as TableFigure,
)
from .contract.geometry import Geometry as Geometry
from .contract.hooks import hookimpl as hookimpl
from .contract.options import (
    check_choice as check_choice,
    check_interval as check_interval,
    check_range as check_range,
    check_unique as check_unique,
    option as option,
)
from .contract.randomness import (
    apply_keyed as apply_keyed,
    keyed_generator as keyed_generator,
)
from .contract.reporter import (
    BestAndWorst as BestAndWorst,
    Reporter as Reporter,
)
from .contract.run_view import RunView as RunView
from .contract.task import Task as Task
from .contract.task_config import (
    TaskConfig as TaskConfig,
    TtaConfig as TtaConfig,
    TtaVariant as TtaVariant,
    default_tta_variants as default_tta_variants,
)
from .contract.types import (
    Batch as Batch,
    FeatureSpec as FeatureSpec,
    Losses as Losses,
    Sample as Sample,
    Size as Size,
    Source as Source,
    View as View,
    round_up as round_up,
)
from .data.class_map import (
    ClassMap as ClassMap,
    map_classes as map_classes,
)
from .data.color_jitter import ColourJitter as ColourJitter
from .data.datasets import (
    HoldoutSubset as HoldoutSubset,
    load_datasets as load_datasets,
)
from .data.formats import (
    pick_format as pick_format,
    detect_format as detect_format,
)
from .data.splits import (
    find_split as find_split,
    find_val_or_test as find_val_or_test,
    say_test_validates as say_test_validates,
)
from .data.statistics import (
    class_balance as class_balance,
    image_sizes as image_sizes,
    evenly_spaced as evenly_spaced,
)
from .evaluate.evaluate import (
    predict_dataset as predict_dataset,
    read_scores as read_scores,
)
from .evaluate.score import overall_score as overall_score
from .io.drawing import (
    palette as palette,
    put_label as put_label,
)
from .io.error_collection import skip_invalid as skip_invalid
from .io.files import (
    read_class_names as read_class_names,
    read_json as read_json,
    read_lines as read_lines,
    read_text as read_text,
    resolve_under as resolve_under,
    write_bytes as write_bytes,
    write_json as write_json,
)
from .io.images import (
    encode_image as encode_image,
    read_image as read_image,
    read_label_map as read_label_map,
    resize_image as resize_image,
    write_image as write_image,
)
from .io.listing import (
    IMAGE_SUFFIXES as IMAGE_SUFFIXES,
    is_hidden as is_hidden,
    list_images as list_images,
)
from .io.lock import hold as hold
from .io.names import (
    find_alike as find_alike,
    find_confusable as find_confusable,
    missing_hint as missing_hint,
)
from .io.say import say as say
from .io.written import writing as writing
from .predict.api import (
    TrainedModel as TrainedModel,
    load as load,
    open_tasks as open_tasks,
)
from .predict.result import Result as Result
from .training.api import train as train
from .training.run import Run as Run
from .version import __version__ as __version__
