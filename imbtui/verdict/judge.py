"""From a claim and the runs of its study to a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imbtui.errors import UserError
from imbtui.members import Member, Run, members_of
from imbtui.metrics import Reader, parse_at
from imbtui.verdict import expression
from imbtui.verdict.kinds import KINDS, Evidence
from imbtui.verdict.result import DID_NOT_HOLD, HELD, NOT_RUN, UNDECIDED, Verdict
from imbtui.verdict.sample import NotRun, Sample, Undecided

if TYPE_CHECKING:
    from imbtui.recipe import Claim

_KEYS = {
    "order": {"arm", "above", "below", "margin", "factor"},
    "near": {"arm", "to", "within", "over", "event"},
    "trend": {"arm", "over", "direction", "slope", "scale"},
    "peak": {"arm", "over", "where", "threshold"},
    "bound": {"arm", "above", "below", "over", "event"},
    "count": {"arm", "against", "event"},
}
_COMMON = {"says", "kind", "metric", "at", "stage", "agree", "rule", "why", "asserted"}


def judge(
    claim: Claim, members: Sequence[Member], *, study: str = "", paper: str = "", reader: Reader | None = None
) -> Verdict:
    """Judge one claim.

    *held*: p < .05 and, with `agree = N`, the claimed sign in N seeds; *did not hold*: the interval lies
    wholly on the wrong side; *undecided*: neither, or fewer than two seeds, or a value that is no finite
    number; *not run*: a run is missing or not finished, or did not measure what is asked for. With
    `rule = "agree"` the number of seeds that agree (beyond the margin) replaces the test.

    Args:
        claim: the claim.
        members: every run that its study asks for, done or not.
        study, paper: named in the verdict.
        reader: shared between claims, so that each file is read once.
    """
    sample = Sample(members, at=claim.at, stage=claim.stage, reader=reader or Reader())
    said: dict[str, Any] = {
        "study": study,
        "paper": paper,
        "says": claim.says,
        "kind": claim.kind,
        "metric": claim.metric,
        "asserted": claim.asserted,
    }
    try:
        evidence = KINDS[claim.kind](claim, sample)
    except (NotRun, UserError) as error:
        return Verdict(**said, verdict=NOT_RUN, reason=str(error))
    except Undecided as error:
        return Verdict(**said, verdict=UNDECIDED, reason=str(error))
    verdict, reason = _conclude(claim, evidence)
    reasons = [reason, evidence.reason]
    if sample.most_points > 1 and claim.kind != "count":
        reasons.append(f"mean over {sample.most_points} runs a seed")
    replaced = claim.rule == "agree"
    return Verdict(
        **said,
        verdict=verdict,
        wants=evidence.wants,
        effect=evidence.effect,
        low=evidence.low,
        high=evidence.high,
        p=None if replaced else evidence.p,
        n=len(evidence.per_seed),
        test=f"the same sign in {claim.agree} seeds" if replaced else evidence.test,
        reason="; ".join(r for r in reasons if r),
        per_seed=evidence.per_seed,
        agreeing=evidence.agreeing,
    )


def judge_study(record: Mapping[str, Any], runs: Mapping[str, Run]) -> list[Verdict]:
    """Judge all claims of a study.

    Args:
        record: the study's record, see `recipe.Study.record`.
        runs: runs by digest, see `members.by_digest`.
    """
    from imbtui.recipe.resolve import check
    from imbtui.recipe.schema import Claim

    members = members_of(record, runs)
    study, paper = str(record.get("study", "")), str(record.get("paper", ""))
    reader = Reader()
    verdicts = []
    for table in record.get("claims", []):
        try:
            claim = check(Claim, table, "claim")
        except UserError as error:
            # Recorded by another version: shown as what it is, never dropped.
            says, kind, metric = (str(table.get(key, "")) for key in ("says", "kind", "metric"))
            verdicts.append(Verdict(study, paper, says, kind, metric, NOT_RUN, reason=str(error)))
            continue
        verdicts.append(judge(claim, members, study=study, paper=paper, reader=reader))
    return verdicts


def check_claims(record: Mapping[str, Any]) -> None:
    """Make sure that every claim of a study can be judged once its runs are there.

    Reported numbers likewise: what they are compared with must be something that runs measure.

    Args:
        record: the study's record, see `recipe.Study.record`.

    Raises:
        UserError: a metric expression, a metric, a selector, an arm, a grid key or value that leads nowhere,
            or a key that means nothing for this kind of claim.
    """
    from imbtui.recipe.resolve import check
    from imbtui.recipe.schema import Claim

    members = members_of(record, {})
    for table in record.get("claims", []):
        where = f"claims ({table.get('says', '')})"
        claim = check(Claim, table, where)
        given = {k for k, f in Claim.model_fields.items() if getattr(claim, k) != f.default}
        foreign = sorted(given - _COMMON - _KEYS[claim.kind])
        if foreign:
            hint = f"It takes {', '.join(sorted(_KEYS[claim.kind]))}."
            raise UserError(f'"{foreign[0]}" means nothing for kind "{claim.kind}"', where=where, hint=hint)
        if claim.direction is not None and claim.scale != "linear":
            raise UserError('"scale" goes with "slope" and not with "direction"', where=where)
        try:
            parse_at(claim.at)
            KINDS[claim.kind](claim, Sample(members, at=claim.at, stage=claim.stage, reader=Reader()))
        except NotRun:
            pass
        except UserError as error:
            place = f"{where}, {error.where}" if error.where else where
            raise UserError(error.sentence, where=place, hint=error.hint) from None
        _check_metrics(record, _expressions(claim), claim.at, where)
        _check_stages(record, _expressions(claim), claim.stage, where)
    for table in record.get("reported", ()):
        _check_metrics(record, [table["metric"]], "last", f"reported ({table['source']})")


def _expressions(claim: Claim) -> list[str]:
    threshold = claim.threshold.get("metric") if isinstance(claim.threshold, dict) else None
    return [claim.metric] if threshold is None else [claim.metric, threshold]


def _check_metrics(record: Mapping[str, Any], expressions: Sequence[str], at: str, where: str) -> None:
    """Make sure that runs measure what expressions name, and what says when it is read.

    Where `--set` changed the recipe, it is enough that some recipe could measure it: who switches a probe off
    for once does not have to take the claims out.

    Raises:
        UserError: nothing measures it.
    """
    from imbtui.recipe.measured import anywhere, check_metric

    known = [*record.get("metrics", ("*",)), *(anywhere() if record.get("overrides") else ())]
    for text in expressions:
        for reference in expression.parse(text, where=where).references:
            selector = parse_at(reference.at or at)
            for name in (reference.name, selector.name):
                if name:
                    check_metric(name, known, where=where)
            if selector.kind == "best" and not any(name.startswith(("val/", "*")) for name in known):
                raise UserError(
                    'at = "best" needs a validation split', where=where, hint="Set dataset.validation."
                )


def _check_stages(
    record: Mapping[str, Any], expressions: Sequence[str], stage: str | None, where: str
) -> None:
    """Make sure that runs may have the stages that a claim names, unless `--set` changed the recipe.

    Raises:
        UserError: no run has it.
    """
    from imbtui.recipe.measured import check_stage

    references = [ref for text in expressions for ref in expression.parse(text, where=where).references]
    for name in (stage, *(reference.stage for reference in references)):
        if name is not None and not record.get("overrides"):
            check_stage(name, record.get("stages", ("*",)), where=where)


def _conclude(claim: Claim, evidence: Evidence) -> tuple[str, str]:
    n, agreeing = len(evidence.per_seed), evidence.agreeing
    if n < 2:
        return UNDECIDED, "one seed decides nothing"
    wanted = claim.agree or 0
    agreement = f"{agreeing} of {n} seeds agree, {wanted} are asked for"
    if claim.rule == "agree":
        if n < wanted:
            return UNDECIDED, agreement
        return (HELD if agreeing >= wanted else DID_NOT_HOLD), agreement
    if evidence.fails:
        return DID_NOT_HOLD, ""
    if not evidence.holds:
        return UNDECIDED, ""
    return (HELD, "") if agreeing >= wanted else (UNDECIDED, agreement)
