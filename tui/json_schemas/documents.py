"""Every document that a verb prints with `--json`: its type, and its JSON Schema."""

from __future__ import annotations

import json
from dataclasses import dataclass

from torchdeck.engine.bench.finding import Finding
from torchdeck.engine.bench.scaling import Scaling
from torchdeck.engine.bench.speed import LoopSpeed
from torchdeck.engine.checkpoints.compare import Comparison
from torchdeck.engine.checkpoints.export import ExportReport
from torchdeck.engine.data.datasets.catalog import DatasetEntry
from torchdeck.engine.data.datasets.download import Downloaded
from torchdeck.engine.data.exploration.batch_at_step import SeenSample
from torchdeck.engine.interchange.metrics_table import EpochKeys, StepKeys
from torchdeck.engine.models.catalog import ModelEntry
from torchdeck.engine.models.module_tree import ModelReport
from torchdeck.engine.preflight.batch_search import BatchSearch
from torchdeck.engine.preflight.dry_run import DryRun
from torchdeck.engine.preflight.lr_range import RangeTest
from torchdeck.engine.preflight.measured_step import StepMeasurement
from torchdeck.engine.preflight.memory_estimate import MemoryEstimate
from torchdeck.engine.preflight.plan import RunPlan
from torchdeck.engine.preflight.weight_groups import WeightGroups
from torchdeck.engine.queue.folder import Job
from torchdeck.engine.runs.on_disk.directory import RunSummary
from torchdeck.engine.sweeps.report import SweepDocument
from torchdeck.engine.tensor_files.checkpoint_file import ReportDocument
from torchdeck.engine.training.optimization.schedules import ScheduleEntry

from ..verbs.batch import StepDocument
from ..verbs.bench import Efficiency
from ..verbs.catalogs import OptimizerDocument, PresetDocument, TransformDocument
from ..verbs.dry_run import PlannedRates
from ..verbs.evaluate import ComparedFiles, ComparedGroups, ScoresDocument
from ..verbs.export import ExportedDocument
from ..verbs.metrics import MetricsDocument
from ..verbs.model import AskedOfModel
from ..verbs.queue import QueueDocument, WatchedJob
from ..verbs.run_summary import DetachedRun, EndedRun
from ..verbs.runs import GroupedRun, RunDocument
from ..verbs.step_cost import StepRoom
from ..verbs.sweep import BestTrial
from ..verbs.sweep_work import DetachedSweep
from ..verbs.train_seeds import SeedsDocument
from .type_schema import Joined, Kinds, ListOf, Named, Schema, Spec, TypeSchemas

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# What modules import for type checking only.
_NAMES = {"SeenSample": SeenSample, "StepMeasurement": StepMeasurement, "WeightGroups": WeightGroups}


@dataclass(frozen=True)
class Document:
    """What one verb prints.

    Attributes:
        verb: the verb, with its subverb if it has one.
        description: what the document is.
        content: its type.
        version: grows when programs that read the previous version may fail.
    """

    verb: str
    description: str
    content: Spec
    version: int = 1

    @property
    def name(self) -> str:
        """The verb as one word."""
        return self.verb.replace(" ", "-")

    @property
    def file_name(self) -> str:
        """The schema's file."""
        return f"{self.name}.schema.json"

    def schema(self) -> Schema:
        """The JSON Schema of the document."""
        schemas = TypeSchemas(_NAMES)
        body = schemas.schema(self.content)
        if "$ref" in body:
            body = schemas.definitions.pop(body["$ref"].rpartition("/")[2])
        head = {
            "$schema": DIALECT,
            "$id": f"urn:torchdeck:json:{self.name}:{self.version}",
            "title": f"torchdeck {self.verb} --json",
            "description": self.description,
        }
        definitions = {"$defs": dict(sorted(schemas.definitions.items()))} if schemas.definitions else {}
        return {**head, **{key: part for key, part in body.items() if key not in head}, **definitions}

    def text(self) -> str:
        """The content of the schema's file."""
        return json.dumps(self.schema(), indent=2, ensure_ascii=False) + "\n"


_STEP_ROW = Joined("StepRow", [StepKeys], others=float)
_EPOCH_ROW = Joined("EpochRow", [EpochKeys], others=float)
_MEMORY = Joined("StepMemory", [MemoryEstimate, StepRoom])
_PLAN = Joined("Plan", [RunPlan, PlannedRates], without=["rates", "lowest_rates"])

DOCUMENTS = (
    Document(
        "train",
        "A run at its end; with --detach, one that has begun; with --dry-run, the plan; with --seeds, all its runs. "
        "Nothing is printed on stdout where the run could not be started.",
        Kinds([EndedRun, DetachedRun, Joined("PlannedRun", [DryRun], replaced={"plan": _PLAN}), SeedsDocument]),
    ),
    Document("resume", "A run at its end; with --detach, one that continues.", Kinds([EndedRun, DetachedRun])),
    Document("fork", "The new run at its end; with --detach, one that has begun.", Kinds([EndedRun, DetachedRun])),
    Document("runs", "Runs, in the requested order.", ListOf(Joined("ListedRun", [RunSummary, GroupedRun]))),
    Document("show", "One run: config, state, metrics, checkpoints.", RunDocument),
    Document(
        "metrics",
        "The metrics of a run as a table.",
        Joined(
            "Metrics",
            [MetricsDocument],
            replaced={"rows": Kinds([ListOf(_STEP_ROW), ListOf(_EPOCH_ROW)], "anyOf")},
        ),
    ),
    Document("sweep", "A sweep at its end; with --detach, one that has begun.", Kinds([SweepDocument, DetachedSweep])),
    Document("sweep join", "A sweep when the added workers end.", SweepDocument),
    Document("sweep show", "A sweep as it stands.", SweepDocument),
    Document("sweep best", "The best trial's settings and results, or those of --trial.", BestTrial),
    Document("queue add", "The added jobs.", ListOf(Job)),
    Document(
        "queue list",
        "The queue and its jobs.",
        Joined("Queue", [QueueDocument], replaced={"jobs": ListOf(Joined("ListedJob", [Job, WatchedJob]))}),
    ),
    Document(
        "model",
        "The module tree of a model with parameter counts; counts are in elements.",
        Joined("Model", [ModelReport, AskedOfModel], without=["docstrings"], replaced={"memory": _MEMORY}),
    ),
    Document("checkpoint", "Contents of a checkpoint file.", ReportDocument),
    Document("evaluate", "Scores of a checkpoint on a split.", ScoresDocument),
    Document(
        "compare",
        "Two checkpoints side by side.",
        Joined("Compared", [ComparedFiles, Comparison, ComparedGroups]),
    ),
    Document(
        "export", "What was exported, and how it was checked.", Joined("Exported", [ExportedDocument, ExportReport])
    ),
    Document("batch", "What the model sees at a step.", StepDocument),
    Document("download", "A data set that has been downloaded.", Downloaded),
    Document(
        "list",
        "The entries of a catalog, all of one kind: that of the catalog.",
        ListOf(
            Kinds(
                [DatasetEntry, TransformDocument, ModelEntry, PresetDocument, OptimizerDocument, ScheduleEntry],
                "anyOf",
            )
        ),
    ),
    Document("lr-find", "Result of a learning-rate range test.", RangeTest),
    Document(
        "batch-find", "Result of a batch size search. Nothing is printed on stdout if a signal ended it.", BatchSearch
    ),
    Document(
        "bench",
        "By network, the speed of each loop by name; with --processes or --gpus, of each number of processes.",
        Kinds([Named(Named(LoopSpeed)), Named(ListOf(Joined("ProcessSpeed", [Scaling, Efficiency])))]),
    ),
    Document("doctor", "What was checked on this machine and in this terminal.", ListOf(Finding)),
)
"""One document per verb with `--json`, in the order of the verbs."""
