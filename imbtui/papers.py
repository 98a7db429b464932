"""The sixteen papers whose claims imbtui checks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """One paper.

    Attributes:
        slug: its folder under `recipes/`, and what a recipe calls it.
        title: as published.
        claim: what it says, in one sentence.
        gist: the claim in a few words, for a row of a table.
    """

    slug: str
    title: str
    claim: str
    gist: str


PAPERS: tuple[Paper, ...] = (
    Paper(
        "arpit2017",
        "A Closer Look at Memorization in Deep Networks",
        "Networks treat real data unlike noise: easy examples come first, few examples matter, and simple "
        "patterns are learnt before noise is memorised.",
        "real data is learnt unlike noise: simple patterns first",
    ),
    Paper(
        "byrd2019",
        "What is the Effect of Importance Weighting in Deep Learning?",
        "Loss weights change predictions early in training, but the effect fades once the network separates "
        "the training set; L2 regularisation brings part of it back, dropout does not.",
        "the effect of class weights fades; L2 keeps some of it",
    ),
    Paper(
        "cao2019",
        "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        "Larger margins for rarer classes, and class weights that are switched on late, each lower the "
        "balanced error of long-tailed training; together they beat cross-entropy and plain re-weighting.",
        "margins and deferred weights together beat either",
    ),
    Paper(
        "frankle2019",
        "The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks",
        "A dense network contains a sparse one that, trained alone from its original initial values, reaches "
        "the same accuracy at least as fast; drawing those values anew destroys it.",
        "dense networks hold sparse ones that train as well",
    ),
    Paper(
        "kini2021",
        "Label-Imbalanced and Group-Sensitive Classification under Overparameterization",
        "Weights and additive logit adjustments stop helping once training error is zero; multiplicative "
        "ones move the margin to the minority, and the VS loss combines both.",
        "logit factors move the margin, additive terms do not",
    ),
    Paper(
        "kornblith2021",
        "Why Do Better Loss Functions Lead to Less Transferable Features?",
        "Objectives that beat softmax cross-entropy separate classes more strongly in the penultimate layer, "
        "and their frozen features transfer worse.",
        "losses that separate classes more transfer less",
    ),
    Paper(
        "liu2020",
        "Simple and Principled Uncertainty Estimation with Deterministic Deep Learning via Distance "
        "Awareness",
        "Spectral normalisation and a Gaussian-process output layer make one network aware of its distance "
        "from the training data, at about unchanged accuracy.",
        "one distance-aware network knows what it cannot know",
    ),
    Paper(
        "lu2021",
        "Rethinking Importance Weighting for Transfer Learning",
        "Under distribution shift, weights that are estimated again and again together with the network beat "
        "weights that are estimated once beforehand.",
        "weights estimated on and on beat those estimated once",
    ),
    Paper(
        "nakkiran2019",
        "Deep Double Descent: Where Bigger Models and More Data Hurt",
        "Test error falls, rises to a peak where training can just fit the data, and falls again, along "
        "model size, training time and sample size alike.",
        "test error falls, peaks at interpolation, falls again",
    ),
    Paper(
        "patrini2017",
        "Making Deep Neural Networks Robust to Label Noise: A Loss Correction Approach",
        "With the matrix of label flips known or estimated, correcting the loss forward or backward makes "
        "training robust to class-dependent label noise.",
        "losses corrected for label flips are robust to them",
    ),
    Paper(
        "singla2021",
        "Shift Invariance Can Reduce Adversarial Robustness",
        "A classifier that is invariant to shifts can have a far smaller margin, about 1 / sqrt(pixels), "
        "than one that is not.",
        "shift invariance shrinks the margin",
    ),
    Paper(
        "teney2022",
        "Evading the Simplicity Bias: Training a Diverse Set of Models Discovers Solutions with Superior OOD "
        "Generalization",
        "Classifiers trained side by side with a penalty on aligned input gradients use different features, "
        "some of which generalise where the simplest one fails.",
        "a diverse set of models evades the simplicity bias",
    ),
    Paper(
        "thilak2022",
        "The Slingshot Mechanism: An Empirical Study of Adaptive Optimizers and the Grokking Phenomenon",
        "Late in training, adaptive optimizers cycle between growth of the last layer's norm and spikes of "
        "the loss, and grokking happens at the onset of these cycles.",
        "adaptive optimizers slingshot; grokking starts there",
    ),
    Paper(
        "verma2019",
        "Manifold Mixup: Better Representations by Interpolating Hidden States",
        "Interpolating hidden states and labels at a random layer lowers test error and test likelihood loss "
        "more than interpolating inputs.",
        "mixing hidden states beats mixing inputs",
    ),
    Paper(
        "ye2020",
        "Identifying and Compensating for Feature Deviation in Imbalanced Deep Learning",
        "Networks over-fit minor classes because their features deviate between training and test; "
        "class-dependent temperatures in training compensate for it.",
        "temperatures make up for deviating features",
    ),
    Paper(
        "zhang2017",
        "Understanding Deep Learning Requires Rethinking Generalization",
        "Standard networks fit random labels and random images to zero training error, so capacity and "
        "explicit regularisation alone do not explain why they generalise.",
        "networks fit random labels and random images",
    ),
)

BY_SLUG = {paper.slug: paper for paper in PAPERS}
