"""CMU-MOSEI (Zadeh et al. 2018): opinions in words, voice and face; sentiment from -3 to 3.

Reads the field's pickle of features without running anything in it. Published are 16,326, 1,871 and 4,659 samples of
train, val and test; videos are disjoint.
"""

from ambidex.data.datasets._sentiment import SentimentConfig, SentimentDataset


class CmuMosei(SentimentDataset):
    """Reads mosei_senti_data.pkl, aligned_50.pkl or another pickle of their form."""

    class Config(SentimentConfig):
        """Which classes, and what text is."""

    files = ("mosei_senti_data.pkl", "mosei_senti_data_noalign.pkl", "aligned_50.pkl", "unaligned_50.pkl")
    published = ((16_326, 1_871, 4_659), (16_265, 1_869, 4_643))
