"""The names of losses and objectives, which the command offers before it loads what computes them."""

LOSSES = ("squared", "absolute", "huber", "quantile", "log", "brier", "hinge", "softmax")
OBJECTIVES = (
    *LOSSES, "median", "p95", "bias", "accuracy", "auc", "average-precision", "recall", "precision", "f1",
    "ndcg", "reciprocal-rank", "top-1",
)  # fmt: skip
