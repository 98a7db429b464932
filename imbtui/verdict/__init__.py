"""Verdicts: what the runs of a study say about its claims (contract §4)."""

from imbtui.members import Member, by_digest, members_of
from imbtui.verdict.judge import check_claims, judge, judge_study
from imbtui.verdict.result import DID_NOT_HOLD, HELD, NOT_RUN, UNDECIDED, Verdict, overall

__all__ = [
    "DID_NOT_HOLD",
    "HELD",
    "NOT_RUN",
    "UNDECIDED",
    "Member",
    "Verdict",
    "by_digest",
    "check_claims",
    "judge",
    "judge_study",
    "members_of",
    "overall",
]
