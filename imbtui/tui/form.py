"""The form of a new run as data: what a recipe lets one change, and the assignments that changes amount to.

Made from the recipe's tables and the plug-ins' own options, without importing a plug-in. A field's value is
text as one would write it behind `--set KEY=`; a field that was not touched assigns nothing, so what the
recipe's arms say stays.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imbtui import plugins, where
from imbtui.errors import UserError
from imbtui.recipe import overrides, schema

SEEDS, DEVICES, RERUN = "seeds", "devices", "rerun"
NOT_SET = (SEEDS, DEVICES, RERUN)
"""Keys of fields that are no keys of a recipe."""

_MEMBERS = {"corruptions": "corruption", "methods": "method", "probes": "probe"}
_TABLES: dict[str, type[schema.Table]] = {
    "schedule": schema.Schedule,
    "train": schema.Train,
    "augmentation": schema.Augmentation,
    "launch": schema.Launch,
    "launch.slurm": schema.Slurm,
}
# Keys beside a plug-in's own options, with the tables that define them.
_OWNED: dict[str, tuple[type[schema.Table], tuple[str, ...]]] = {
    "dataset": (schema.Dataset, ("validation", "corrupt_validation", "train_on_validation")),
    "model": (
        schema.Model,
        ("head", "head_std", "head_dropout", "head_temperature", "head_bias", "head_compat"),
    ),
    "loss": (schema.Loss, ("start_epoch", "normalise")),
    "probes": (schema.Probe, ("every",)),
}
_MEANS = {
    "TimeLimit": "minutes, 4:00:00 or 2-12 (days-hours)",
    "list[SbatchOption]": 'list: ["--qos=long"]',
    "Rate": "0 to 1",
    "Ratio": "at least 1",
    "Positive": "above 0",
    "NonNegative": "0 or more",
    "Count": "whole number, at least 1",
    "NonNegativeInt": "whole number, at least 0",
    "When": 'epochs, "10it" or "60%"',
    "WhenField": 'epochs, "10it" or "60%"',
    "Interval": 'epochs, "10it" or "60%"',
    "Until": '{metric = "...", reaches = 0.9}',
    "Seed": "whole number",
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "None": "may be left out",
}
_FLAG = ("true", "false")


@dataclass(frozen=True)
class Field:
    """One thing that can be changed.

    Attributes:
        key: dotted key of the recipe, or one of `NOT_SET`.
        label: what stands before the value.
        initial: its value when it is not touched; empty where the recipe's arms differ, or nothing is set.
        value: its value now.
        by_arm: what each arm has, where they differ.
        fixed: why it cannot be changed; empty when it can.
        choices: values to choose from; empty: any text.
        about: what it takes or means.
        section: heading it stands under; empty for the main knobs.
    """

    key: str
    label: str
    initial: str
    value: str
    by_arm: str = ""
    fixed: str = ""
    choices: tuple[str, ...] = ()
    about: str = ""
    section: str = ""

    @property
    def changed(self) -> bool:
        """Whether it assigns anything."""
        return self.value != self.initial


@dataclass(frozen=True)
class Knob:
    """A main knob.

    Attributes:
        kind: plug-ins whose names it chooses from.
        member: the plug-in that is not there when the knob stands at `off`.
        off: ratio 1, noise rate 0, no pruning round.
    """

    key: str
    label: str
    about: str
    kind: str = ""
    member: str = ""
    off: str = ""

    def is_off(self, value: str | None) -> bool:
        """Whether a value means that the plug-in is not there."""
        if value is None or not self.member:
            return False
        try:
            return float(value) == float(self.off)
        except ValueError:
            return False


LOSS = Knob("loss.name", "Loss", "what is minimised", kind="loss")
DATASET = Knob("dataset.name", "Data set", "where the examples come from", kind="dataset")
RATIO = Knob(
    "corruptions.long_tail.ratio",
    "Imbalance ratio",
    "largest class / smallest; 1: as it is",
    member="corruptions.long_tail",
    off="1",
)
NOISE = Knob(
    "corruptions.label_noise.rate",
    "Noise rate",
    "share of wrong training labels; 0: none",
    member="corruptions.label_noise",
    off="0",
)
PRUNING = Knob(
    "methods.lottery.rounds",
    "Pruning rounds",
    "train, prune, rewind, repeat; 0: none",
    member="methods.lottery",
    off="0",
)
KNOBS = (LOSS, DATASET, RATIO, NOISE, PRUNING)
NOISE_KIND = "corruptions.label_noise.kind"

Tables = dict[str, Any]


class Form:
    """A recipe's form.

    Args:
        source: the recipe's text; it was parsed before and is in order.
        path: its file.
        name: what its runs are grouped under.
    """

    def __init__(self, source: str, path: Path, name: str) -> None:
        self.source, self.path, self.name = source, path, name
        raw = tomllib.loads(source)
        self.title = str(raw.get("title", ""))
        tables = {key: value for key, value in raw.items() if key not in overrides.STUDY_KEYS}
        # Each arm's tables; without arms the recipe's own, under an empty label.
        arms = [schema.Arm.model_validate(arm) for arm in raw.get("arms", [])]
        self._arms: dict[str, Tables] = overrides.apply_arms(tables, arms, where=str(path)) or {"": tables}
        self._grid = overrides.flatten(raw.get("grid", {}))
        self.seeds: list[int] = raw.get("seeds", [0])
        self._seeds = seeds_text(self.seeds)
        self._devices = _devices_text((raw.get("launch") or {}).get("gpus"))
        self.edits: dict[str, str] = {}

    # What it amounts to

    def change(self, field: Field, value: str) -> None:
        """Change a field; its initial value, or nothing at all, takes the change back."""
        value = value.strip()
        before = self.edits.pop(field.key, None)
        if value not in ("", field.initial):
            self.edits[field.key] = value
        table, _, last = field.key.rpartition(".")
        if self.edits.get(field.key) == before:
            return
        if last == "name":
            # Another plug-in has other options: what was said of the old one's would be wrong.
            self._forget(table, but=overrides.ENGINE_KEYS.get(table, ()))
        elif table in _MEMBERS and value == "false":
            self._forget(field.key)

    def _forget(self, table: str, but: tuple[str, ...] = ()) -> None:
        for key in [key for key in self.edits if key.startswith(f"{table}.")]:
            if key.removeprefix(f"{table}.") not in but:
                del self.edits[key]

    def assignments(self, *, but: str = "") -> list[str]:
        """Return the changes as `KEY=VALUE`, in the spelling of `--set`.

        Args:
            but: leave this field's change out.
        """
        edits = {key: value for key, value in self.edits.items() if key != but and key not in NOT_SET}
        # At ratio 1, noise 0 or no round the plug-in goes.
        off = {knob.member: knob.key for knob in KNOBS if knob.is_off(edits.get(knob.key))}
        off |= {
            key: key for key, value in edits.items() if key.split(".")[0] in _MEMBERS and value == "false"
        }
        found: list[str] = []
        # A member is put there, or taken out, before its options are set.
        for key in sorted(edits, key=lambda key: key.count(".")):
            member = ".".join(key.split(".")[:2])
            if member in off:
                # What is not there needs no removing.
                if key == off[member] and self._is_there(member):
                    found.append(f"{member}=false")
            elif key != NOISE_KIND or self._is_there(member) or edits.keys() & {member, NOISE.key}:
                found.append(f"{key}={edits[key]}")
        return found

    def _is_there(self, member: str) -> bool:
        """Whether any arm of the recipe has this list member."""
        return any(where.recipe_value(tables, member) is not None for tables in self._arms.values())

    # Fields

    def main(self) -> list[Field]:
        """Return the main knobs, in their order."""
        about_devices = "any, cpu, or GPUs such as 0,1"
        kinds = plugins.options("corruption", "label_noise")["kind"].text
        return [
            *(self._knob(knob) for knob in (LOSS, DATASET, RATIO, NOISE)),
            self._field(
                NOISE_KIND,
                "Noise kind",
                choices=_literals(kinds),
                about="how labels become wrong",
                standard="symmetric",
            ),
            self._knob(PRUNING),
            Field(
                SEEDS, "Seeds", self._seeds, self._now(SEEDS, self._seeds), about="a run each: 0-4 or 0,2,5"
            ),
            Field(DEVICES, "Devices", self._devices, self._now(DEVICES, self._devices), about=about_devices),
        ]

    def _knob(self, knob: Knob) -> Field:
        standard = "cross_entropy" if knob is LOSS else ""
        if knob.member:
            table, _, name = knob.member.partition(".")
            option = plugins.options(_MEMBERS[table], name)[knob.key.rpartition(".")[2]]
            standard = _text(option.default)
        return self._field(
            knob.key,
            knob.label,
            choices=tuple(plugins.names(knob.kind)) if knob.kind else (),
            about=knob.about,
            standard=standard,
            member=knob.member,
            absent=knob.off,
        )

    def more(self) -> list[Field]:
        """Return everything else, by section; it depends on which plug-ins are chosen."""
        arms = self._edited()
        fields = [
            *self._plugin("model", arms),
            *self._plugin("loss", arms),
            *self._plugin("dataset", arms),
            *(field for table in _MEMBERS for field in self._members(table, arms)),
            *self._optimizer(arms),
        ]
        for table, model in _TABLES.items():
            fields += self._schema(table, model, table, but=("gpus", "slurm"))
            if table == "launch":
                fields.append(self._rerun())
        main = {NOISE_KIND, *(knob.key for knob in KNOBS)}
        return [field for field in fields if field.key not in main]

    def _rerun(self) -> Field:
        return Field(
            RERUN,
            "rerun",
            "false",
            self._now(RERUN, "false"),
            choices=_FLAG,
            about="train also what has finished before",
            section="launch",
        )

    def _plugin(self, table: str, arms: Mapping[str, Tables]) -> list[Field]:
        """Return the fields of a table that is one plug-in; its options only where all arms agree."""
        names = {str(where.recipe_value(tables, table) or "cross_entropy") for tables in arms.values()}
        name = next(iter(names)) if len(names) == 1 else "by arm"
        section = f"{table}: {name}"
        fields = []
        if table == "model":
            known = tuple(plugins.names("model"))
            fields.append(self._field("model.name", "name", choices=known, section=section))
        owner, keys = _OWNED[table]
        for key, text, default in _schema_options(owner):
            if key in keys:
                fields.append(self._option(f"{table}.{key}", text, default, section))
        if name in plugins.names(table):
            fields += self._options(table, table, name, section)
        return fields

    def _members(self, table: str, arms: Mapping[str, Tables]) -> list[Field]:
        kind = _MEMBERS[table]
        present = [
            str(member.get("name"))
            for tables in arms.values()
            for member in tables.get(table) or ()
            if isinstance(member, Mapping)
        ]
        fields = []
        for name in dict.fromkeys([*present, *plugins.names(kind)]):
            section = f"{table}: {name}"
            key = f"{table}.{name}"
            ours = name in plugins.names(kind)
            about = plugins.summary(kind, name) if ours else ""
            fields.append(self._switch(key, about, section))
            if name in present and ours:
                if table in _OWNED:
                    fields.append(self._option(f"{key}.every", "Interval", 1, section, member=key))
                fields += self._options(key, kind, name, section, member=key)
        return fields

    def _switch(self, key: str, about: str, section: str) -> Field:
        has = {
            arm: "false" if where.recipe_value(tables, key) is None else "true"
            for arm, tables in self._edited(but=key).items()
        }
        initial, by_arm = _agreed(has)
        return Field(key, "used", initial, self._now(key, initial), by_arm, "", _FLAG, about, section)

    def _optimizer(self, arms: Mapping[str, Tables]) -> list[Field]:
        names = {str((tables.get("optimizer") or {}).get("name", "sgd")) for tables in arms.values()}
        name = next(iter(names)) if len(names) == 1 else "by arm"
        section = f"optimizer: {name}"
        known = tuple(schema.OPTIMIZERS)
        chosen = self._field("optimizer.name", "name", choices=known, standard="sgd", section=section)
        model = schema.OPTIMIZERS.get(name)
        return [chosen, *(self._schema("optimizer", model, section, but=("name",)) if model else ())]

    def _schema(
        self, table: str, model: type[schema.Table], section: str, but: tuple[str, ...] = ()
    ) -> list[Field]:
        return [
            self._option(f"{table}.{key}", text, default, section)
            for key, text, default in _schema_options(model)
            if key not in but
        ]

    def _options(self, table: str, kind: str, name: str, section: str, *, member: str = "") -> list[Field]:
        return [
            self._option(f"{table}.{option.name}", option.text, option.default, section, member=member)
            for option in plugins.options(kind, name).values()
        ]

    def _option(self, key: str, text: str, default: Any, section: str, *, member: str = "") -> Field:
        return self._field(
            key,
            key.rpartition(".")[2],
            choices=_literals(text),
            about=_means(text),
            standard="" if default is plugins.REQUIRED else _text(default),
            section=section,
            member=member,
            absent="none",
        )

    def _field(
        self,
        key: str,
        label: str,
        *,
        choices: tuple[str, ...] = (),
        about: str = "",
        standard: str = "",
        section: str = "",
        member: str = "",
        absent: str = "",
    ) -> Field:
        """Return a field with what the arms have, had it not been changed.

        Args:
            standard: its value where nothing is said.
            member: the list member it belongs to.
            absent: its value where that member is not there.
        """
        field = Field(key, label, "", "", choices=choices, about=about, section=section)
        if key in self._grid:
            return replace(field, fixed="the grid varies it: " + ", ".join(_text(v) for v in self._grid[key]))
        values = {}
        for arm, tables in self._edited(but=key).items():
            there = not member or where.recipe_value(tables, member) is not None
            value = _text(where.recipe_value(tables, key)) if there else absent
            values[arm] = value or standard
        initial, by_arm = _agreed(values)
        return replace(field, initial=initial, value=self._now(key, initial), by_arm=by_arm)

    def _now(self, key: str, initial: str) -> str:
        return self.edits.get(key, initial)

    def _edited(self, *, but: str = "") -> dict[str, Tables]:
        """Return the tables of each arm with the changes so far.

        Args:
            but: leave this field's change out. A field that was not changed needs no tables of its own.
        """
        if but and but not in self.edits:
            but = ""
        changes = dict(overrides.parse_assignment(text) for text in self.assignments(but=but))
        if not changes:
            return self._arms
        found = {}
        for label, tables in self._arms.items():
            varied = dict(tables)
            try:
                overrides.apply(varied, changes, where=str(self.path))
            except UserError:  # the check says it; until it is put right the form shows the recipe
                return self._arms
            found[label] = varied
        return found


def _agreed(values: Mapping[str, str]) -> tuple[str, str]:
    """Return the value that all arms have; or nothing, and who has what."""
    distinct = list(dict.fromkeys(values.values()))
    if len(distinct) == 1:
        return distinct[0], ""
    return "", "; ".join(
        f"{value or 'none'}: {', '.join(_quoted(arm) for arm, has in values.items() if has == value)}"
        for value in distinct
    )


def _quoted(label: str) -> str:
    return f'"{label}"' if "," in label else label


def _schema_options(model: type[schema.Table]) -> list[tuple[str, str, Any]]:
    """Return name, annotation as written and default of each field of a recipe table."""
    found = []
    for name, info in model.model_fields.items():
        written = (inspect.get_annotations(owner).get(name) for owner in model.__mro__)
        text = str(next(annotation for annotation in written if annotation is not None))
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        found.append((name, text, default))
    return found


def _literals(annotation: str) -> tuple[str, ...]:
    """Return the values of an annotation that is `bool` or one `Literal[...]` of texts."""
    if annotation == "bool":
        return _FLAG
    match = re.fullmatch(r"Literal\[([^\[\]]*)\]", annotation)
    return tuple(part.strip().strip("'\"") for part in match[1].split(",")) if match else ()


def _means(annotation: str) -> str:
    """Return in words what an annotation allows."""
    words = []
    for part in re.split(r"\s*\|\s*(?![^\[]*\])", annotation):
        if part.startswith("Literal["):
            words.append(", ".join(_literals(part)))
        elif part.startswith(("list[", "Annotated[list[")):
            words.append(_MEANS.get(part, "list: [1, 2]"))
        else:
            words.append(_MEANS.get(part, ""))
    return "; ".join(word for word in words if word)


def _text(value: Any) -> str:
    """Return a value as it would be written behind `--set KEY=`; None is nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inside(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_inside(item)}" for key, item in value.items()) + "}"
    return str(value)


def _inside(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else _text(value)


def seeds_text(seeds: list[int]) -> str:
    """Return seeds as `0-4` or `0,2,5`."""
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(str(seed) for seed in seeds)


def _devices_text(gpus: Any) -> str:
    if gpus is None:
        return "any"
    return gpus if isinstance(gpus, str) else ",".join(str(index) for index in gpus)
