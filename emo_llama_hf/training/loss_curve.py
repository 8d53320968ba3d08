"""The course of a training run as a picture."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import is_matplotlib_available, logging

from ..whole_file import whole_file

logger = logging.get_logger(__name__)

RATED = (("eval_uar", "UAR"), ("eval_reward", "evaluation reward"), ("reward", "training reward"))


def save_loss_curve(log_history: list[dict[str, float]], path: str | Path) -> None:
    """
    Draw training loss, evaluation loss and, on an axis of their own, UAR or mean rewards over the steps.

    Args:
        log_history (`list[dict]`): `TrainerState.log_history`.
        path (`str` or `Path`): PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot, which would pick a window system

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="step", ylabel="loss")
    for key, name in (("loss", "training loss"), ("eval_loss", "evaluation loss")):
        points = [(entry["step"], entry[key]) for entry in log_history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), label=name, marker="o" if key == "eval_loss" else None)
    lines = list(axes.get_lines())
    rated = [(key, name) for key, name in RATED if any(key in entry for entry in log_history)]
    if rated:
        right = axes.twinx()
        right.set(ylabel=rated[0][1].rpartition(" ")[2])
        if rated[0][0] == "eval_uar":
            right.set_ylim(0, 1)
        for (key, name), color in zip(rated, ("tab:green", "tab:olive"), strict=False):
            points = [(entry["step"], entry[key]) for entry in log_history if key in entry]
            lines += right.plot(
                *zip(*points, strict=True), label=name, color=color, marker="o" if "eval" in key else None
            )
    axes.legend(lines, [line.get_label() for line in lines])
    axes.grid(alpha=0.3)
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)


class LossCurveCallback(TrainerCallback):
    """Saves `loss_curve.png` in the output folder whenever a checkpoint is saved and at the end."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Say so where nothing can be drawn."""
        if state.is_world_process_zero and not is_matplotlib_available():
            logger.warning("No loss curve will be drawn: `pip install emo_llama_hf[train]` for matplotlib.")

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Draw what was logged so far."""
        if state.is_world_process_zero and is_matplotlib_available() and state.log_history:
            Path(args.output_dir).mkdir(parents=True, exist_ok=True)
            save_loss_curve(state.log_history, Path(args.output_dir) / "loss_curve.png")

    on_train_end = on_save
