"""What was tried and is not shipped, by name. They are no plug-ins: only this benchmark knows them."""

from ambidex.decide.allocators import Allocator
from benchmarks.allocators import on_pool, opinions

VARIANTS: dict[str, type[Allocator]] = {
    "even_pool": opinions.EvenPool,
    "linear_pool": opinions.LinearPool,
    "pool_of_three": opinions.PoolOfThree,
    "bias": on_pool.Bias,
    "category_on_pool": on_pool.CategoryOnPool,
    "reliability": on_pool.Reliability,
    "reliability_soft": on_pool.ReliabilitySoft,
    "confusion_hard": on_pool.ConfusionHard,
    "confusion_fused": on_pool.ConfusionFused,
    "matrix": on_pool.Matrix,
}
