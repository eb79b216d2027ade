"""CMU-MOSI (Zadeh et al. 2016): opinions on films in words, voice and face; sentiment from -3 to 3.

Reads the field's pickle of features without running anything in it. Published are 1,284, 229 and 686 samples of train,
val and test from 93 videos; videos are disjoint.
"""

from ambidex.data.datasets._sentiment import SentimentConfig, SentimentDataset


class CmuMosi(SentimentDataset):
    """Reads mosi_data.pkl, aligned_50.pkl or another pickle of their form."""

    class Config(SentimentConfig):
        """Which classes, and what text is."""

    files = ("mosi_data.pkl", "mosi_data_noalign.pkl", "aligned_50.pkl", "unaligned_50.pkl")
    published = ((1_284, 229, 686),)
