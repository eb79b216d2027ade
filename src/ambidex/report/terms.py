"""The words of a run's report, each explained once: what is meant, and what a good value is."""

DECISION = {
    "decision share": "A modality's part of the evidence for the true class, on average over the samples of a class. "
    "Below 0: it argues against the true class. Undefined where the whole is not above 0.",
    "capability": "Its part of what the modalities can recognise: the recall of a linear probe on its own features, "
    "divided by the sum over all modalities.",
    "decision imbalance (DI)": "The mean distance between the two. 0: each decides as much as it can recognise.",
    "Shapley value": "The accuracy that a modality brings, averaged over all orders in which modalities could join.",
}
HEAD = {
    "contribution": "What a modality adds to the score (logit) of a class; the contributions add up to the logits.",
    "margin": "Its contribution to the true class less that to the next best: above 0 it argues for the truth.",
    "effective rank": "How many directions of its feature space a modality really uses.",
}
CALIBRATION = {
    "confidence": "The probability that a predictor gives to its answer.",
    "ECE": "Expected calibration error: mean distance between confidence and the share that is right. 0 is honest.",
    "NLL": "Negative log-likelihood of the true class in nats, lower is better: being sure and wrong costs most.",
    "Brier": "Squared distance between the probabilities and the truth, lower is better.",
}
REPAIR = {
    "allocator": "A way to weight the modalities' contributions before they are added. Fitted on held-out samples, "
    "never on test; the trained model stays as it is.",
    "plain sum": "What the model does by itself (allocator uniform): every contribution counts once.",
    "headline": "The allocator that was asked for before test was looked at: its numbers are the model's.",
}
CLASSES = {
    "recall": "Of the samples of a class, the share that is recognised; in small its 95 % interval (Wilson).",
    "its part, probe": "Recall of what the modality says alone in this model, and of a linear probe on its features.",
    "decides, could": "Decision share and capability in percent of the whole. ▲ it decides clearly more than it could, "
    "▼ clearly less: the interval of the difference, corrected over modalities and classes, leaves 0 out.",
    "weight": "The factor that the headline allocator puts on its contribution, relative to the mean of all.",
}
SAMPLES = {
    "share": "A modality's part of the lead of the fused answer over the runner-up; the parts add up to 100 %, and "
    "below 0 it argued for the runner-up. Far above 100 % where the lead is small: the parts nearly cancel.",
}
