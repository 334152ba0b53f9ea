"""Settings that have no effect because of other settings. What depends on data or machine is not known here."""

from __future__ import annotations

from .run import RunConfig

# Samplers that draw as many samples as they are asked for.
_DRAWING = ("balanced", "weighted", "replacement")


def idle_settings(config: RunConfig) -> dict[str, str]:
    """By dotted key, why a setting has no effect, in a few words."""
    reasons: dict[str, str] = {}

    def say(is_idle: bool, reason: str, section: str, *names: str) -> None:
        if is_idle:
            reasons.update({f"{section}.{name}": reason for name in names})

    training, schedule, stopping = config.training, config.schedule, config.early_stopping
    say(not training.compile, "compile is off", "training", "compile_mode", "compile_dynamic")
    say(training.clip_norm == 0, "clip_norm = 0: no clipping", "training", "clip_by")
    say(
        training.on_nonfinite == "stop",
        'on_nonfinite = "stop": no rollback',
        "training",
        "rollback_lr_factor",
        "max_rollbacks",
    )
    is_plateau = schedule.name == "ReduceLROnPlateau"
    say(schedule.name == "constant", "the learning rate is constant", "schedule", "interval")
    say(is_plateau, "ReduceLROnPlateau counts evaluations", "schedule", "interval")
    say(not is_plateau and ".py" not in schedule.name, "only ReduceLROnPlateau watches it", "schedule", "metric")
    say(config.ema.decay == 0, "decay = 0: no average", "ema", "warmup", "every_steps", "decides_best")
    say(stopping.patience == 0, "patience = 0: no early stopping", "early_stopping", "min_delta", "metric")
    say(config.loss.name != "cross_entropy", "only cross_entropy has it", "loss", "label_smoothing")
    say(config.loss.name == "cross_entropy", "only labels of 0 and 1 are predicted by it", "evaluation", "threshold")
    say(not config.notify.on, "on = []: nothing is notified", "notify", "after_minutes", "command", "webhook")
    loader = config.loader
    say(
        loader.sampler not in _DRAWING,
        "only balanced, weighted and replacement samplers use it",
        "loader",
        "num_samples",
    )
    say(loader.sampler != "weighted", 'only sampler = "weighted" uses weights', "loader", "weights")
    say(
        loader.sampler != "auto",
        f'sampler = "{loader.sampler}" decides the order',
        "loader",
        "shuffle",
    )
    say(
        bool(loader.batch_sampler),
        "batch_sampler makes the batches",
        "loader",
        *("sampler", "shuffle", "num_samples", "weights", "drop_last"),
    )
    parallel = config.parallel
    say(
        not parallel.is_several,
        "one process trains alone",
        "parallel",
        *("strategy", "sync_batch_norm", "restarts", "timeout_minutes", "meeting_minutes"),
    )
    return reasons
