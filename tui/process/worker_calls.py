"""The one table of functions that run in the worker process.

A name is "module:function". Only the worker process imports it, so naming one here imports nothing.
"""

CHECK_CONFIG = "torchdeck.engine.build:check_start"
COMPARE_CHECKPOINTS = "torchdeck.engine.checkpoints.compare:compare_checkpoints"
COMPATIBILITY = "torchdeck.engine.checkpoints.compatibility:standing_of"
EVALUATE_CHECKPOINT = "torchdeck.engine.checkpoints.evaluate:evaluate_checkpoint"
EXPORT_CHECKPOINT = "torchdeck.engine.checkpoints.export:export_checkpoint"
TENSOR_NORMS = "torchdeck.engine.checkpoints.tensor_norms:tensor_norms"
COMPARE_SPLITS = "torchdeck.engine.data.exploration.look:compare"
LOOK_AT_DATA = "torchdeck.engine.data.exploration.look:look"
LOOK_AT_SAMPLES = "torchdeck.engine.data.exploration.look:look_at_samples"
MEASURE_PIXELS = "torchdeck.engine.data.exploration.look:measure"
FOR_EVALUATION = "torchdeck.engine.data.exploration.pipeline_edits:for_evaluation"
WITH_NORMALIZE = "torchdeck.engine.data.exploration.pipeline_edits:with_normalize"
TIME_READING = "torchdeck.engine.data.exploration.reading_time:time_reading"
TRACE_SAMPLE = "torchdeck.engine.data.exploration.sample_trace:trace_sample"
LOOK_AT_STEP = "torchdeck.engine.data.exploration.step_look:look_at_step"
STEP_TIERS = "torchdeck.engine.data.exploration.step_tiers:step_tiers"
LIST_TRANSFORMS = "torchdeck.engine.data.exploration.transform_catalog:list_transforms"
LIST_ALBUMENTATIONS = "torchdeck.engine.data.transforms.albumentations_steps:list_albumentations"
FIND_LARGEST_BATCH = "torchdeck.engine.preflight.batch_search:find_largest_batch"
PARAMETER_GROUPS = "torchdeck.engine.preflight.inspection:draft_groups"
ESTIMATE_MEMORY = "torchdeck.engine.preflight.inspection:draft_memory"
PREVIEW_WEIGHTS = "torchdeck.engine.preflight.inspection:draft_weights"
INSPECT_MODEL = "torchdeck.engine.preflight.inspection:inspect_draft"
ESTIMATE_LARGEST_BATCH = "torchdeck.engine.preflight.inspection:largest_draft_batch"
FIND_LEARNING_RATE = "torchdeck.engine.preflight.lr_range:find_learning_rate"
DRY_RUN = "torchdeck.engine.preflight.dry_run:dry_run"
MEASURE_STEP = "torchdeck.engine.preflight.measured_step:measure_draft"
MEASURE_STEP_OF_MODEL = "torchdeck.engine.preflight.measured_step:measure_spec"
OUTLINE_RUN = "torchdeck.engine.preflight.outline:outline_run"
PLAN_RUN = "torchdeck.engine.preflight.plan:plan_run"
FRESH_HISTOGRAMS = "torchdeck.engine.preflight.weight_histogram:fresh_histograms"
SAVED_HISTOGRAMS = "torchdeck.engine.preflight.weight_histogram:saved_histograms"
WITHOUT_EFFECT = "torchdeck.engine.preflight.without_effect:draft_without_effect"
SETTING_IMPORTANCES = "torchdeck.engine.sweeps.importance:setting_importances"
LIST_OPTIMIZERS = "torchdeck.engine.training.optimization.optimizers:list_optimizers"
LIST_SCHEDULES = "torchdeck.engine.training.optimization.schedules:list_schedules"

# Functions that read a config's data run no code of its model.
READ_DATA_ONLY = frozenset(
    {
        COMPARE_SPLITS,
        LOOK_AT_DATA,
        LOOK_AT_SAMPLES,
        MEASURE_PIXELS,
        FOR_EVALUATION,
        WITH_NORMALIZE,
        STEP_TIERS,
        TIME_READING,
        TRACE_SAMPLE,
        LOOK_AT_STEP,
    }
)

BEGIN_JOB = "torchdeck.tui.process.jobs:begin"
LOOK_AT_JOB = "torchdeck.tui.process.jobs:look"
STOP_JOB = "torchdeck.tui.process.jobs:stop"
FORGET_JOB = "torchdeck.tui.process.jobs:forget"
