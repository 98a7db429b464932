"""What a recipe may say: every table, key, type and default (contract §4)."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from imbtui.option_types import Count, NonNegative, NonNegativeInt, Positive, Rate, check_when

WhenField = Annotated[int | str, BeforeValidator(check_when)]


# What imbtui itself tells sbatch of every job; the rest is the user's.
SBATCH_OURS = (
    "array", "clusters", "error", "help", "job-name", "nodes", "ntasks", "open-mode", "output", "parsable",
    "test-only", "version", "wait", "wrap",
)  # fmt: skip
_OPTION = re.compile(r"--([a-z][a-z0-9-]*)(=[^\0\n]*)?")
_TIME_LIMIT = re.compile(r"\d+(:\d\d){0,2}|\d+-\d+(:\d\d){0,2}")


def _check_sbatch_option(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _OPTION.fullmatch(value)
    if match is None:
        raise ValueError('options of sbatch are written like "--qos=long"')
    # sbatch takes a shortened name for the whole one.
    if any(ours.startswith(match[1]) for ours in SBATCH_OURS):
        raise ValueError("imbtui sets this option of sbatch itself, so this must be another one")
    return value


def _check_time_limit(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if isinstance(value, datetime.time):  # what TOML makes of 04:00:00 without quotes
        return value.isoformat("seconds")
    if isinstance(value, str) and _TIME_LIMIT.fullmatch(value):
        return value
    raise ValueError('a time limit is minutes, "hours:minutes:seconds" or "days-hours"')


SbatchOption = Annotated[str, BeforeValidator(_check_sbatch_option)]
TimeLimit = Annotated[str, BeforeValidator(_check_time_limit)]


def _check_interval(value: Any) -> int | str | list[int | str]:
    if isinstance(value, list) and value:
        return [_check_span(when) for when in value]
    return _check_span(value)


def _check_span(value: Any) -> int | str:
    when = check_when(value)
    if when in (0, "0it", "0%"):
        raise ValueError("an interval is at least one epoch, one step or a share above 0 %")
    return when


Interval = Annotated[int | str | list[int | str], BeforeValidator(_check_interval)]
"""How often: an interval, or a list of the points in time that are meant (the end always is)."""


class Table(BaseModel):
    """A table of a recipe: unknown keys and loosely typed values are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Plugin(Table):
    """A plug-in by name, with options that were checked against its signature (all defaults in)."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class Dataset(Plugin):
    """`[dataset]`. `validation` training examples are set aside before any corruption.

    With `corrupt_validation` they are set aside after all corruptions, and carry the same noise.
    `train_on_validation = "also"` puts them back behind the training examples, as they are: a small
    trusted set among noisy examples. `"only"` trains on nothing else. Metrics of the split `val` are
    then those of examples that were trained on.
    """

    validation: NonNegativeInt | Rate = 0
    corrupt_validation: bool = False
    train_on_validation: Literal["never", "also", "only"] = "never"


class Model(Plugin):
    """`[model]`. Keys that begin with `head` are about the last layer, whatever the network below it is.

    Attributes:
        head: what it is; see `engine.heads`.
        head_std: its weights are drawn with this standard deviation around 0, and its biases are 0; left
            out: as its kind and the model draw them.
        head_dropout: share of the features that is dropped in front of it while training.
        head_temperature: a cosine head's logits are cosines divided by this.
        head_bias: a cosine head has a bias for each class.
        head_compat: `released`: a cosine head as in the released code of kornblith2021, where features are
            not normalised and the bias is divided by the temperature too.
    """

    head: Literal["linear", "cosine", "batch_norm", "binary"] = "linear"
    head_std: Positive | None = None
    head_dropout: Rate = 0.0
    head_temperature: Positive = 1.0
    head_bias: bool = False
    head_compat: Literal["paper", "released"] = "paper"

    @model_validator(mode="after")
    def _cosine_only(self) -> Model:
        for key in ("head_temperature", "head_bias", "head_compat"):
            if self.head != "cosine" and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f'{key} goes with head = "cosine"')
        return self


class Loss(Plugin):
    """`[loss]`. Before `start_epoch` plain cross-entropy is used.

    `normalise` says what the weighted sum of sample losses is divided by: the batch size, the sum of
    the weights, or nothing.
    """

    start_epoch: WhenField = 0
    normalise: Literal["batch", "weights", "sum"] = "batch"


class Probe(Plugin):
    """`[[probes]]`. Measured at the end of every interval `every`."""

    every: Interval = 1


class Augmentation(Table):
    """`[augmentation]`: drawn anew for every training batch, never stored.

    Attributes:
        centre_crop: images are cut to this many pixels on each side about their centre (tests too); 0: off.
        crop: a random shift of the cut by up to this many pixels in each direction, over zeros where the
            image ends; 0: off.
        flip: mirror left and right with probability 1/2.
        normalise: subtract the data set's channel means and divide by its deviations (tests too).
        standardise: subtract every image's own mean and divide by its own deviation (tests too).
        input_noise: standard deviation of Gaussian noise added to training inputs.
        image_size: image files are resized and centre-cropped to this many pixels on each side.
    """

    centre_crop: NonNegativeInt = 0
    crop: NonNegativeInt = 0
    flip: bool = False
    normalise: bool = False
    standardise: bool = False
    input_noise: NonNegative = 0.0
    image_size: Count = 224

    @model_validator(mode="after")
    def _one_scale(self) -> Augmentation:
        if self.normalise and self.standardise:
            raise ValueError("give normalise or standardise and not both")
        return self


class Sgd(Table):
    """Stochastic gradient descent; the classical form of momentum and L2 weight decay."""

    name: Literal["sgd"] = "sgd"
    lr: Positive = 0.1
    momentum: Rate = 0.0
    weight_decay: NonNegative = 0.0
    nesterov: bool = False


class Adam(Table):
    """Adam with L2 weight decay added to the gradient."""

    name: Literal["adam"]
    lr: Positive = 1e-3
    betas: Annotated[list[Rate], Field(min_length=2, max_length=2)] = Field(default=[0.9, 0.999])
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0


class AdamW(Adam):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]  # type: ignore[assignment]


class Adagrad(Table):
    """Adagrad: the step of a weight shrinks with the sum of its squared gradients, from `accumulator` on."""

    name: Literal["adagrad"]
    lr: Positive = 0.01
    accumulator: NonNegative = 0.0
    eps: NonNegative = 1e-10
    weight_decay: NonNegative = 0.0


class NormalisedGD(Table):
    """Gradient descent with steps of length `lr`, whatever the size of the gradient (kini2021 §10)."""

    name: Literal["normalised_gd"]
    lr: Positive = 0.1


OPTIMIZERS: dict[str, type[Table]] = {
    "sgd": Sgd,
    "adam": Adam,
    "adamw": AdamW,
    "adagrad": Adagrad,
    "normalised_gd": NormalisedGD,
}


class Schedule(Table):
    """`[schedule]`: the learning rate as a closed formula of time.

    Attributes:
        name: `multistep` (with no milestones: constant), `step` (a drop after every interval `every`),
            `cosine` (to 0 at the end), `inverse_sqrt` (lr / sqrt(1 + step / scale)).
        warmup_epochs: linear warm-up: epoch e of the first ones runs at lr * (e + 1) / warmup_epochs.
        warmup: linear warm-up per step until this point in time, on top of the rest.
        milestones: points in time of the drops, ascending.
        factor: multiplied at each drop; or a list: the factor in force from each milestone on.
        every: interval between the drops of `step`.
        scale: steps after which `inverse_sqrt` has fallen to 1 / sqrt(2).
        stepwise: `inverse_sqrt` falls once every `scale` steps instead of with every one.
    """

    name: Literal["multistep", "step", "cosine", "inverse_sqrt"] = "multistep"
    warmup_epochs: NonNegativeInt = 0
    warmup: WhenField = 0
    milestones: list[WhenField] = Field(default=[])
    factor: Positive | list[Positive] = 0.1
    every: Annotated[int | str, BeforeValidator(_check_span)] = 1
    scale: Count = 512
    stepwise: bool = False

    @model_validator(mode="after")
    def _one_factor_a_milestone(self) -> Schedule:
        if isinstance(self.factor, list) and len(self.factor) != len(self.milestones):
            raise ValueError(
                f"factor lists {len(self.factor)} values and milestones {len(self.milestones)} "
                "points in time; give one factor a milestone"
            )
        return self


class Until(Table):
    """Stop early once an evaluated metric reaches a value (errors and losses downwards)."""

    metric: str
    reaches: float


class Train(Table):
    """`[train]`.

    Attributes:
        epochs, steps: length of a stage; one of the two.
        until: stop early.
        batch_size: examples in a batch over all processes, or "all".
        precision: arithmetic of the forward and backward pass.
        evaluate_every: how often all splits are evaluated.
        select_on: the validation metric by which the best epoch is chosen.
        checkpoint_every: how often a checkpoint is written; left out: at most every 30 seconds, and at
            every end or stop.
        threads: CPU threads; 0: cores / slots, decided at launch.
        replicates: inner repetitions that are one measurement. Replicate r of a run with seed s is the same
            recipe with seed s * replicates + r (an integer `split_seed` likewise); only some plans repeat.
        pack: most runs that one launch may carry; 0: no limit.
        fuse: runs of one launch that differ in their seeds alone train together in one process on a CPU,
            four or more of them, with the results that each would have alone. It pays for small fully
            connected networks; a run that cannot train so trains by itself, and its log says why.
        shots: classes with fewer training examples than the first are few-shot, with more than the
            second many-shot, the rest medium-shot.
        drop_last: leave out the last batch of an epoch when it is smaller than the others.
        deterministic: only algorithms that give the same bits every time (slower on a GPU).
    """

    epochs: Count | None = None
    steps: Count | None = None
    until: Until | None = None
    batch_size: Count | Literal["all"] = 128
    precision: Literal["fp32", "tf32", "bf16", "fp16", "fp64"] = "fp32"
    evaluate_every: Interval = 1
    select_on: Literal["val/balanced_accuracy", "val/accuracy", "val/loss", "val/nll"] = (
        "val/balanced_accuracy"
    )
    checkpoint_every: Interval | None = None
    threads: NonNegativeInt = 0
    replicates: Count = 1
    pack: NonNegativeInt = 0
    fuse: bool = False
    shots: Annotated[list[NonNegativeInt], Field(min_length=2, max_length=2)] = Field(default=[20, 100])
    drop_last: bool = False
    deterministic: bool = False

    @model_validator(mode="after")
    def _one_length(self) -> Train:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give epochs or steps and not both")
        return self

    def length(self, steps_per_epoch: int) -> int:
        """Return the steps of a stage."""
        return self.steps or (self.epochs or 0) * steps_per_epoch


class Slurm(Table):
    """`[launch.slurm]`: what each job asks SLURM for. What is left out, the cluster decides.

    Whose the machine time is may also stand in SLURM's own variables (SBATCH_ACCOUNT, SBATCH_PARTITION).

    Attributes:
        partition: partition, or several: "a,b".
        account: whom the job is charged to.
        time: time limit, as minutes, "4:00:00" or "2-12" (days-hours). What is not done by then goes on from
            its checkpoint when it is resumed, or by itself with `launch.retries`.
        cpus: CPU cores of a job.
        memory: GiB of main memory of a job.
        options: more options of sbatch, as in ["--qos=long", "--gres=gpu:a100:1"].
    """

    partition: str | None = None
    account: str | None = None
    time: TimeLimit | None = None
    cpus: Count | None = None
    memory: Positive | None = None
    options: list[SbatchOption] = Field(default=[])


class Launch(Table):
    """`[launch]`. None of it changes what a run computes.

    Attributes:
        processes: training processes (one GPU each).
        gpus: only these GPUs may be used; "cpu": none; left out: any that is free, else the CPU.
        memory: GiB that each process needs of its GPU, for launches that share one; left out: what earlier
            runs with the same settings took, else an equal share of the GPU.
        executor: where runs are launched: on this machine, or each (with `train.pack`, each so many) as a
            job of SLURM. There it is SLURM that chooses which GPUs: `processes` many, unless `gpus = "cpu"`;
            left out: if the partition has any.
        slurm: what the jobs ask for.
        retries: launches after a crash, beyond the first.
        grace: seconds between asking a run to stop and killing it.
    """

    processes: Count = 1
    gpus: list[NonNegativeInt] | Literal["cpu"] | None = None
    memory: Positive | None = None
    executor: Literal["local", "slurm"] = "local"
    slurm: Slurm | None = None
    retries: NonNegativeInt = 0
    grace: Positive = 30.0

    @property
    def request(self) -> dict[str, Any] | None:
        """What `[launch.slurm]` says, without what it leaves to the cluster; None: there is none."""
        return None if self.slurm is None else self.slurm.model_dump(exclude_none=True)


Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Recipe(Table):
    """One run, resolved: every table present, every default filled in.

    Raises (through `study.resolve`): UserError with the sentence a front end shows.
    """

    title: str = ""
    paper: str = ""
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=1)]
    split_seed: Seed | Literal["seed"] = "seed"
    dataset: Dataset
    corruptions: list[Plugin] = Field(default=[])
    augmentation: Augmentation = Field(default=Augmentation())
    model: Model
    loss: Loss
    methods: list[Plugin] = Field(default=[])
    optimizer: Sgd | Adam | AdamW | Adagrad | NormalisedGD
    schedule: Schedule = Field(default=Schedule())
    train: Train
    probes: list[Probe] = Field(default=[])
    launch: Launch = Field(default=Launch())

    @property
    def seed(self) -> int:
        """Seed of initialisation, order and noise."""
        return self.seeds[0]

    @property
    def data_seed(self) -> int:
        """Seed of the choice of examples: `split_seed`, or the run's seed where it says so."""
        return self.seed if self.split_seed == "seed" else self.split_seed


Point = bool | int | float | str | list[Any]


class Arm(Table):
    """`[[arms]]`: a named variant of the recipe.

    Attributes:
        label: its name.
        extends: label of an arm further up, whose settings this one starts from.
        set: what it changes, by dotted key.
    """

    label: Annotated[str, Field(min_length=1, max_length=60)]
    extends: str | None = None
    set: dict[str, Any] = Field(default={})


class Claim(Table):
    """`[[claims]]`: what the study is expected to show; see `verdict` for the meaning of each kind."""

    says: Annotated[str, Field(min_length=1)]
    kind: Literal["order", "near", "trend", "peak", "bound", "count"]
    metric: Annotated[str, Field(min_length=1)]
    at: str = "last"
    stage: str | None = None
    arm: str | dict[str, Any] | None = None
    above: float | str | list[str] | dict[str, Any] | None = None
    below: float | str | list[str] | dict[str, Any] | None = None
    margin: float | None = None
    factor: Positive | None = None
    to: float | str | dict[str, Any] | None = None
    within: NonNegative | None = None
    over: str | None = None
    direction: Literal["increasing", "decreasing"] | None = None
    slope: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    scale: Literal["linear", "log-log"] = "linear"
    where: Any = None
    threshold: int | float | dict[str, Any] | None = None
    event: str | None = None
    against: str | list[str] | None = None
    agree: Count | None = None
    rule: Literal["test", "agree"] = "test"
    why: str = ""
    asserted: bool = Field(default=True, alias="assert")

    @model_validator(mode="after")
    def _complete(self) -> Claim:
        needs = {
            "order": ("arm", "above|below"),
            "near": ("arm", "to", "within"),
            "trend": ("over", "direction|slope"),
            "peak": ("over",),
            "bound": ("above|below",),
            "count": ("event", "arm", "against"),
        }[self.kind]
        for need in needs:
            given = [k for k in need.split("|") if getattr(self, k) is not None]
            if not given:
                raise ValueError(
                    f'a claim of kind "{self.kind}" needs "{need.replace("|", chr(34) + " or " + chr(34))}"'
                )
            if len(given) > 1:
                raise ValueError(
                    f'a claim of kind "{self.kind}" takes "{given[0]}" or "{given[1]}" and not both'
                )
        if self.rule == "agree" and not (self.agree and self.why):
            raise ValueError('rule = "agree" needs "agree" and "why"')
        return self


class Reported(Table):
    """`[[reported]]`: a number of the paper.

    Attributes:
        where: the arm and settings it belongs to.
        metric: a metric's name or an expression, as in claims.
        value: as the paper has it.
        source: where in the paper it stands.
        confidence: `verified` against the source, or from `memory`.
        says: what it is, in a few words, where the metric does not tell.
        headline: the one that stands for the paper in a list of papers.
    """

    where: dict[str, Any]
    metric: str
    value: float
    source: str
    confidence: Literal["verified", "memory"]
    says: str = ""
    headline: bool = False


class Document(Table):
    """A recipe file as written: a run's tables, plus what makes a study of it."""

    title: str = ""
    paper: str = ""
    seeds: list[Seed] = Field(default=[0])
    split_seed: Seed | Literal["seed"] = "seed"
    dataset: dict[str, Any]
    corruptions: list[dict[str, Any]] = Field(default=[])
    augmentation: dict[str, Any] = Field(default={})
    model: dict[str, Any]
    loss: dict[str, Any] = Field(default={"name": "cross_entropy"})
    methods: list[dict[str, Any]] = Field(default=[])
    optimizer: dict[str, Any] = Field(default={})
    schedule: dict[str, Any] = Field(default={})
    train: dict[str, Any] = Field(default={})
    probes: list[dict[str, Any]] = Field(default=[])
    launch: dict[str, Any] = Field(default={})
    grid: dict[str, list[Any]] = Field(default={})
    arms: list[dict[str, Any]] = Field(default=[])
    claims: list[dict[str, Any]] = Field(default=[])
    reported: list[dict[str, Any]] = Field(default=[])
